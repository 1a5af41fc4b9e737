//! Each kernel of the int8 engine on shapes of the default model, on every instruction set that there is.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use graphtag_runtime::frame::{Picture, Yuv, YuvLayout};
use graphtag_runtime::kernels::{
    AveragePool, Convolution, Depthwise, InstructionSet, Map, MaxPool, PlaneConvolution, Product,
    Requantization, Residual, Table, Window, add_maps, channel_sums, quantize_image,
};

fn requantization(output: Map) -> Requantization {
    Requantization {
        multipliers: vec![0.001; output.pixel],
        zero_point: -3,
        low: i8::MIN,
        high: i8::MAX,
    }
}

fn bytes(count: usize) -> Vec<i8> {
    (0..count).map(|index| (index * 37) as i8).collect()
}

fn window(kernel: usize, stride: usize) -> Window {
    Window {
        kernel: [kernel; 2],
        stride: [stride; 2],
        dilation: [1; 2],
        padding: [kernel / 2; 2],
    }
}

/// Side, input and output channels, kernel and stride of dense convolutions.
const DENSE: [(usize, usize, usize, usize, usize); 5] = [
    (256, 3, 32, 3, 2),
    (128, 16, 96, 1, 1),
    (32, 144, 40, 1, 1),
    (16, 80, 480, 1, 1),
    (8, 1152, 320, 1, 1),
];

fn convolutions(criterion: &mut Criterion) {
    for (side, from, to, kernel, stride) in DENSE {
        let input = match from {
            3 => Map::image([side; 2], from),
            _ => Map::new([side; 2], from),
        };
        let output = Map::new([side / stride; 2], to);
        let window = window(kernel, stride);
        let weights = bytes(to * from * window.taps());
        let bias = vec![100; to];
        let mut task = Convolution::new(
            [input, output],
            window,
            &weights,
            &bias,
            5,
            requantization(output),
        );
        let values = bytes(input.bytes());
        let mut result = vec![0; output.bytes()];
        let macs = output.pixels() * weights.len();
        let name = format!("convolution {side} {from}-{to} {kernel}x{kernel}/{stride}");
        let mut group = criterion.benchmark_group(name);
        group.throughput(Throughput::Elements(macs as u64));
        for set in InstructionSet::available() {
            group.bench_function(set.name(), |bencher| {
                bencher.iter(|| task.run(set, &values, &[], &mut result, 0..output.pixels()));
            });
        }
        task.residual = Some(residual());
        let others = bytes(output.bytes());
        let set = InstructionSet::detect();
        group.bench_function("with a residual", |bencher| {
            bencher.iter(|| task.run(set, &values, &others, &mut result, 0..output.pixels()));
        });
    }
}

fn residual() -> Residual {
    Residual {
        scale: 0.1,
        other_scale: 0.2,
        other_zero_point: 3,
        sum_scale: 0.25,
        sum_zero_point: -4,
    }
}

fn depthwise(criterion: &mut Criterion) {
    for (side, channels, kernel, stride) in [(128, 96, 3, 2), (64, 144, 3, 1), (16, 480, 5, 1)] {
        let input = Map::new([side; 2], channels);
        let output = Map::new([side / stride; 2], channels);
        let window = window(kernel, stride);
        let weights = bytes(channels * window.taps());
        let bias = vec![100; channels];
        let task = Depthwise::new(
            [input, output],
            window,
            &weights,
            &bias,
            5,
            requantization(output),
        );
        let values = bytes(input.bytes());
        let mut result = vec![0; output.bytes()];
        let name = format!("depthwise {side} {channels} {kernel}x{kernel}/{stride}");
        let mut group = criterion.benchmark_group(name);
        group.throughput(Throughput::Elements(
            (output.pixels() * weights.len()) as u64,
        ));
        for set in InstructionSet::available() {
            group.bench_function(set.name(), |bencher| {
                bencher.iter(|| task.run(set, &values, &mut result, 0..output.height));
            });
        }
    }
}

fn planes(criterion: &mut Criterion) {
    for (side, channels, kernel, stride) in [(128, 32, 3, 1), (32, 240, 3, 2), (8, 1152, 5, 1)] {
        let window = window(kernel, stride);
        let weights = vec![0.5; channels * window.taps()];
        let maps = [[side; 2], [side / stride; 2]];
        let task = PlaneConvolution::new(maps, window, weights, vec![0.1; channels]);
        let values = vec![0.25; channels * side * side];
        let mut result = vec![0.0; channels * (side / stride).pow(2)];
        let name = format!("float depthwise {side} {channels} {kernel}x{kernel}/{stride}");
        let mut group = criterion.benchmark_group(name);
        group.throughput(Throughput::Elements((result.len() * window.taps()) as u64));
        for set in InstructionSet::available() {
            group.bench_function(set.name(), |bencher| {
                bencher.iter(|| task.run(set, 0, &values, &mut result));
            });
        }
    }
}

fn pointwise(criterion: &mut Criterion) {
    let map = Map::new([32; 2], 144);
    let (values, others) = (bytes(map.bytes()), bytes(map.bytes()));
    let mut result = vec![0; map.bytes()];
    let mut group = criterion.benchmark_group("value by value, 32 x 32 x 144");
    group.throughput(Throughput::Elements(map.bytes() as u64));
    let set = InstructionSet::detect();
    group.bench_function("sum", |bencher| {
        bencher.iter(|| add_maps(set, &residual(), 3, [&values, &others], &mut result));
    });
    let product = Product {
        zero_points: [3, -128],
        multiplier: 0.01,
        zero_point: 7,
    };
    group.bench_function("product with a gate", |bencher| {
        let pair = [&values[..], &others[..map.pixel]];
        bencher.iter(|| product.run(set, pair, map.pixel, &mut result));
    });
    let table = Table::new(std::array::from_fn(|byte| (255 - byte) as i8));
    group.bench_function("table", |bencher| {
        bencher.iter(|| table.run(&values, &mut result));
    });
    group.bench_function("channel sums", |bencher| {
        bencher.iter(|| channel_sums(&values, map, 0..map.channels, |_, sum| _ = black_box(sum)));
    });
    let (window, low, high) = (window(3, 1), i8::MIN, i8::MAX);
    let largest = MaxPool {
        input: map,
        output: map,
        window,
    };
    group.bench_function("largest of 3 x 3", |bencher| {
        bencher.iter(|| largest.run(&values, &mut result, 0..map.height));
    });
    let mean = AveragePool {
        input: map,
        output: map,
        window,
        with_padding: false,
        input_zero_point: 3,
        multiplier: 1.0,
        zero_point: 3,
        low,
        high,
    };
    group.bench_function("mean of 3 x 3", |bencher| {
        bencher.iter(|| mean.run(&values, &mut result, 0..map.height));
    });
}

fn frames(criterion: &mut Criterion) {
    let image = vec![0.3; 3 * 256 * 256];
    let map = Map::image([256; 2], 3);
    let mut result = vec![0; map.bytes()];
    let mut group = criterion.benchmark_group("frames");
    for set in InstructionSet::available() {
        group.bench_function(format!("float image to int8, {}", set.name()), |bencher| {
            bencher.iter(|| quantize_image(set, &image, map, (0.01, 3), &mut result));
        });
    }
    let planar = YuvLayout::Planar {
        columns: 2,
        rows: 2,
    };
    for layout in [YuvLayout::Yuyv, YuvLayout::Nv12, planar] {
        let picture = Picture::Yuv(Yuv {
            width: 640,
            height: 480,
            layout,
            full_range: false,
            bytes: vec![77; layout.bytes(640, 480).unwrap_or_default()],
        });
        group.bench_function(format!("640 x 480 {layout:?} to RGB"), |bencher| {
            bencher.iter(|| black_box(picture.decode().is_ok()));
        });
    }
}

criterion_group!(kernels, convolutions, depthwise, planes, pointwise, frames);
criterion_main!(kernels);
