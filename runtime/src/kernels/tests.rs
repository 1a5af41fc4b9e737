use proptest::prelude::*;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::*;

/// A random convolution: its shapes, and a seed for its numbers.
#[derive(Clone, Copy, Debug)]
struct Case {
    sides: [usize; 2],
    channels: [usize; 2],
    window: Window,
    /// Padding after the map, beside that before it in `window`.
    after: [usize; 2],
    input_zero_point: i8,
    output_zero_point: i8,
    clamp: [i8; 2],
    seed: u64,
}

fn case() -> impl Strategy<Value = Case> {
    let pair = |range: std::ops::RangeInclusive<usize>| [range.clone(), range];
    let window = (pair(1..=5), pair(1..=3), pair(1..=2), pair(0..=3));
    let numbers = (any::<i8>(), any::<i8>(), any::<[i8; 2]>(), any::<u64>());
    let point = prop::bool::weighted(0.2);
    (
        pair(1..=17),
        pair(1..=40),
        window,
        pair(0..=3),
        numbers,
        point,
    )
        .prop_filter_map(
            "the window does not fit",
            |(sides, channels, window, after, numbers, point)| {
                let (kernel, stride, dilation, padding) = if point {
                    ([1, 1], [1, 1], [1, 1], [0, 0])
                } else {
                    window
                };
                let (input_zero_point, output_zero_point, mut clamp, seed) = numbers;
                clamp.sort();
                let case = Case {
                    sides,
                    channels,
                    window: Window {
                        kernel,
                        stride,
                        dilation,
                        padding,
                    },
                    after,
                    input_zero_point,
                    output_zero_point,
                    clamp: if seed % 2 == 0 { clamp } else { [-128, 127] },
                    seed,
                };
                (0..2)
                    .all(|axis| case.output_side(axis).is_some())
                    .then_some(case)
            },
        )
}

impl Case {
    fn output_side(&self, axis: usize) -> Option<usize> {
        let Window {
            kernel,
            stride,
            dilation,
            padding,
        } = self.window;
        let covered = (kernel[axis] - 1) * dilation[axis] + 1;
        let whole = self.sides[axis] + padding[axis] + self.after[axis];
        Some(whole.checked_sub(covered)? / stride[axis] + 1)
    }

    fn output_sides(&self) -> [usize; 2] {
        [0, 1].map(|axis| self.output_side(axis).unwrap())
    }

    fn random(&self) -> ChaCha8Rng {
        ChaCha8Rng::seed_from_u64(self.seed)
    }

    fn requantization(&self, output: Map, random: &mut ChaCha8Rng) -> Requantization {
        // Sums are of the order of 128 * 128 * the square root of the number of products: some saturate.
        let mut multipliers = vec![0.0; output.pixel];
        for multiplier in &mut multipliers[..output.channels] {
            *multiplier = 2f32.powf(random.random_range(-14.0..-6.0));
        }
        let [low, high] = self.clamp;
        Requantization {
            multipliers,
            zero_point: self.output_zero_point,
            low,
            high,
        }
    }
}

/// Bytes from `lowest` on; a quarter of the time only the smallest and the largest.
fn bytes_from(lowest: i8, count: usize, random: &mut ChaCha8Rng) -> Vec<i8> {
    let are_extreme = random.random_ratio(1, 4);
    let mut byte = || match are_extreme {
        true if random.random() => lowest,
        true => i8::MAX,
        false => random.random_range(lowest..=i8::MAX),
    };
    (0..count).map(|_| byte()).collect()
}

fn bytes(count: usize, random: &mut ChaCha8Rng) -> Vec<i8> {
    bytes_from(i8::MIN, count, random)
}

/// Weights, half of the time without -128, which most quantisers leave out and some kernels ask for.
fn weights(count: usize, random: &mut ChaCha8Rng) -> Vec<i8> {
    let lowest = if random.random() { -127 } else { i8::MIN };
    bytes_from(lowest, count, random)
}

fn biases(count: usize, random: &mut ChaCha8Rng) -> Vec<i32> {
    (0..count)
        .map(|_| random.random_range(-40_000..40_000))
        .collect()
}

/// The numbers of a convolution.
struct Numbers {
    values: Vec<i8>,
    weights: Vec<i8>,
    bias: Vec<i32>,
    multipliers: Vec<f32>,
}

/// `QLinearConv` as ONNX defines it, of one group or as many as channels, in i64 and f64: the value before
/// rounding, without its zero point.
fn reference(
    case: &Case,
    [input, output]: [Map; 2],
    numbers: &Numbers,
    [row, column, channel]: [usize; 3],
    depthwise: bool,
) -> f64 {
    let Window {
        kernel,
        stride,
        dilation,
        padding,
    } = case.window;
    let per_group = if depthwise { 1 } else { input.channels };
    let mut sum = i64::from(numbers.bias[channel]);
    for y in 0..kernel[0] {
        for x in 0..kernel[1] {
            let row = (row * stride[0] + y * dilation[0]).wrapping_sub(padding[0]);
            let column = (column * stride[1] + x * dilation[1]).wrapping_sub(padding[1]);
            if row >= input.height || column >= input.width {
                continue;
            }
            for from in 0..per_group {
                let weight =
                    numbers.weights[((channel * per_group + from) * kernel[0] + y) * kernel[1] + x];
                let from = if depthwise { channel } else { from };
                let value = numbers.values[(row * input.width + column) * input.pixel + from];
                let centred = i64::from(value) - i64::from(case.input_zero_point);
                sum += i64::from(weight) * centred;
            }
        }
    }
    assert!(output.channels > channel);
    sum as f64 * f64::from(numbers.multipliers[channel])
}

/// Whether `found` is `value` rounded, offset and clamped, up to what an f32 can't tell.
fn rounds_to(case: &Case, value: f64, found: i8) -> bool {
    let [low, high] = case.clamp.map(f64::from);
    let exact = (value + f64::from(case.output_zero_point)).clamp(low, high);
    (exact - f64::from(found)).abs() <= 0.5 + value.abs() * 1e-6
}

/// Computes `count` rows or pixels in two parts, so that parts that don't begin at zero are seen as well.
fn in_parts(output: Map, count: usize, run: impl Fn(&mut [i8], std::ops::Range<usize>)) -> Vec<i8> {
    let mut result = vec![0; output.bytes()];
    let middle = count / 2;
    let (upper, lower) = result.split_at_mut(middle * (output.bytes() / count));
    run(upper, 0..middle);
    run(lower, middle..count);
    result
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn convolution_is_that_of_onnx_on_every_instruction_set(case in case(), image: bool, residual: bool) {
        let mut random = case.random();
        let [from, to] = case.channels;
        let input = if image { Map::image(case.sides, from) } else { Map::new(case.sides, from) };
        let output = Map::new(case.output_sides(), to);
        let values = bytes(input.bytes(), &mut random);
        let weights = weights(to * from * case.window.taps(), &mut random);
        let bias = biases(to, &mut random);
        let requantization = case.requantization(output, &mut random);
        let numbers = Numbers { values, weights, bias, multipliers: requantization.multipliers.clone() };
        let mut task = Convolution::new(
            [input, output], case.window, &numbers.weights, &numbers.bias, case.input_zero_point, requantization,
        );
        let others = bytes(output.bytes(), &mut random);
        let run = |task: &Convolution, set| in_parts(output, output.pixels(), |part, range| {
            task.run(set, &numbers.values, &others, part, range);
        });
        let plain = run(&task, InstructionSet::Scalar);
        for (position, pixel) in plain.chunks_exact(output.pixel).enumerate() {
            let place = [position / output.width, position % output.width];
            for (channel, &found) in pixel[..to].iter().enumerate() {
                let exact = reference(
                    &case, [input, output], &numbers,
                    [place[0], place[1], channel], false,
                );
                prop_assert!(rounds_to(&case, exact, found), "{exact} as {found}");
            }
        }
        let mut expected = plain.clone();
        if residual {
            let addition = Residual {
                scale: 0.11,
                other_scale: 0.07,
                other_zero_point: random.random(),
                sum_scale: 0.13,
                sum_zero_point: random.random(),
            };
            task.residual = Some(addition);
            for (value, &other) in expected.iter_mut().zip(&others) {
                *value = addition.apply(*value, case.output_zero_point, other);
            }
        }
        for set in InstructionSet::available() {
            prop_assert!(run(&task, set) == expected, "{}", set.name());
        }
    }

    #[test]
    fn depthwise_convolution_is_that_of_onnx_on_every_instruction_set(case in case(), usual: bool) {
        let mut case = case;
        if usual {
            // The windows that there are special kernels for.
            case.window.kernel = [case.window.kernel[0], 3 + 2 * (case.seed as usize % 2)];
            case.window.stride[1] = 1 + case.window.stride[1] % 2;
            case.window.dilation[1] = 1;
        }
        prop_assume!((0..2).all(|axis| case.output_side(axis).is_some()));
        let mut random = case.random();
        let channels = case.channels[0];
        let input = Map::new(case.sides, channels);
        let output = Map::new(case.output_sides(), channels);
        let values = bytes(input.bytes(), &mut random);
        let weights = weights(channels * case.window.taps(), &mut random);
        let bias = biases(channels, &mut random);
        let requantization = case.requantization(output, &mut random);
        let numbers = Numbers { values, weights, bias, multipliers: requantization.multipliers.clone() };
        let task = Depthwise::new(
            [input, output], case.window, &numbers.weights, &numbers.bias, case.input_zero_point, requantization,
        );
        let run = |set| in_parts(output, output.height, |part, rows| {
            task.run(set, &numbers.values, part, rows);
        });
        let expected = run(InstructionSet::Scalar);
        for (position, pixel) in expected.chunks_exact(output.pixel).enumerate() {
            let place = [position / output.width, position % output.width];
            for (channel, &found) in pixel[..channels].iter().enumerate() {
                let exact = reference(
                    &case, [input, output], &numbers,
                    [place[0], place[1], channel], true,
                );
                prop_assert!(rounds_to(&case, exact, found), "{exact} as {found}");
            }
        }
        for set in InstructionSet::available() {
            prop_assert!(run(set) == expected, "{}", set.name());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn pools_are_those_of_onnx(case in case(), with_padding: bool) {
        let mut random = case.random();
        let channels = case.channels[0];
        let (input, output) = (Map::new(case.sides, channels), Map::new(case.output_sides(), channels));
        let values = bytes(input.bytes(), &mut random);
        let [low, high] = case.clamp;
        let multiplier = 2f32.powf(random.random_range(-1.0..1.0));
        let mean = AveragePool {
            input, output, window: case.window, with_padding, input_zero_point: case.input_zero_point,
            multiplier, zero_point: case.output_zero_point, low, high,
        };
        let largest = MaxPool { input, output, window: case.window };
        let means = in_parts(output, output.height, |part, rows| mean.run(&values, part, rows));
        let maxima = in_parts(output, output.height, |part, rows| largest.run(&values, part, rows));
        for index in 0..output.pixels() * channels {
            let (position, channel) = (index / channels, index % channels);
            let mut seen = vec![];
            for tap in 0..case.window.taps() {
                let [vertical, horizontal] = [tap / case.window.kernel[1], tap % case.window.kernel[1]];
                let row = case.window.input(0, position / output.width, vertical, input.height);
                let column = case.window.input(1, position % output.width, horizontal, input.width);
                if let (Some(row), Some(column)) = (row, column) {
                    seen.push(values[(row * input.width + column) * input.pixel + channel]);
                }
            }
            let found = position * output.pixel + channel;
            prop_assert_eq!(maxima[found], seen.iter().copied().max().unwrap_or(i8::MIN));
            let centred = seen.iter().map(|&value| f64::from(value) - f64::from(case.input_zero_point));
            let count = if with_padding { case.window.taps() } else { seen.len().max(1) };
            let exact = centred.sum::<f64>() / count as f64 * f64::from(multiplier);
            prop_assert!(rounds_to(&case, exact, means[found]), "{exact} as {}", means[found]);
        }
    }

    #[test]
    fn sums_are_those_of_onnx(case in case()) {
        let mut random = case.random();
        let map = Map::new(case.sides, case.channels[0]);
        let maps = [bytes(map.bytes(), &mut random), bytes(map.bytes(), &mut random)];
        let sum = Residual {
            scale: 2f32.powf(random.random_range(-6.0..0.0)),
            other_scale: 2f32.powf(random.random_range(-6.0..0.0)),
            other_zero_point: random.random(),
            sum_scale: 0.25,
            sum_zero_point: case.output_zero_point,
        };
        let case = Case { clamp: [i8::MIN, i8::MAX], ..case };
        for set in InstructionSet::available() {
            let mut output = vec![0; map.bytes()];
            add_maps(set, &sum, case.input_zero_point, [&maps[0], &maps[1]], &mut output);
            for (index, &found) in output.iter().enumerate() {
                let real = |map: usize, zero_point: i8, scale: f32| {
                    (f64::from(maps[map][index]) - f64::from(zero_point)) * f64::from(scale)
                };
                let value = real(0, case.input_zero_point, sum.scale);
                let other = real(1, sum.other_zero_point, sum.other_scale);
                let exact = (value + other) / f64::from(sum.sum_scale);
                prop_assert!(rounds_to(&case, exact, found), "{}: {exact} as {found}", set.name());
            }
        }
    }

    #[test]
    fn products_are_those_of_onnx(case in case(), gate: bool) {
        let mut random = case.random();
        let map = Map::new(case.sides, case.channels[0]);
        let values = bytes(map.bytes(), &mut random);
        let factors = bytes(if gate { map.pixel } else { map.bytes() }, &mut random);
        let product = Product {
            zero_points: [case.input_zero_point, random.random()],
            multiplier: 2f32.powf(random.random_range(-10.0..-4.0)),
            zero_point: case.output_zero_point,
        };
        let mut output = vec![0; map.bytes()];
        product.run(InstructionSet::Scalar, [&values, &factors], map.pixel, &mut output);
        for set in InstructionSet::available() {
            let mut same = vec![0; map.bytes()];
            product.run(set, [&values, &factors], map.pixel, &mut same);
            prop_assert!(same == output, "{}", set.name());
        }
        let case = Case { clamp: [i8::MIN, i8::MAX], ..case };
        for (index, (&value, &found)) in values.iter().zip(&output).enumerate() {
            let pair = [value, factors[index % factors.len()]].map(f64::from);
            let [value, factor] = [0, 1].map(|i: usize| pair[i] - f64::from(product.zero_points[i]));
            let exact = value * factor * f64::from(product.multiplier);
            prop_assert!(rounds_to(&case, exact, found), "{exact} as {found}");
        }
    }
}

#[test]
fn tables_replace_every_value_by_its_own() {
    let values: Vec<i8> = (i8::MIN..=i8::MAX).collect();
    let halves = Table::new(std::array::from_fn(|byte| byte as u8 as i8 / 2));
    let mut output = vec![0; values.len()];
    halves.run(&values, &mut output);
    let expected: Vec<i8> = values.iter().map(|value| value / 2).collect();
    assert_eq!(output, expected);

    let input = Map::new([2, 3], 18);
    let map: Vec<i8> = (0..input.bytes())
        .map(|i| (i % input.pixel) as i8 - 9)
        .collect();
    let squares = TableMean {
        input,
        values: Box::new(std::array::from_fn(|byte| {
            f32::from(byte as u8 as i8).powi(2)
        })),
        scale: 2.0,
        zero_point: -5,
    };
    let mut output = vec![0; input.pixel];
    let (first, second) = output.split_at_mut(LANES);
    squares.run(&map, first, 0..1);
    squares.run(&map, second, 1..2);
    let expected = (0..18).map(|channel: i8| quantize(f32::from(channel - 9).powi(2), 2.0, -5));
    assert_eq!(output[..18], expected.collect::<Vec<_>>());
}

#[test]
fn images_are_quantised_as_onnx_does() {
    // 0.5 and -1.5 round to even; what is too large saturates; no channel is in another's place.
    let red = [0.25, -0.75, 0.3, 1e9, -1e9, 0.0].repeat(9);
    let green = vec![-1.25; red.len()];
    let image = [red.clone(), green, vec![2.0; red.len()]].concat();
    let expected = [-3, -5, -2, 127, -128, -3].repeat(9);
    let shape = Map::image([6, 9], 3);
    for set in InstructionSet::available() {
        let mut output = vec![99; shape.bytes()];
        quantize_image(set, &image, shape, (0.5, -3), &mut output);
        for (pixel, &expected) in output.chunks_exact(4).zip(&expected) {
            assert_eq!(pixel, [expected, -5, 1, 99], "{}", set.name());
        }
    }
}

#[test]
fn channel_sums_leave_out_nothing() {
    let shape = Map::new([2, 3], 18);
    let map: Vec<i8> = (0..shape.bytes())
        .map(|index| (index % shape.pixel) as i8 - 9)
        .collect();
    let mut sums = vec![];
    for channels in [0..5, 5..18] {
        channel_sums(&map, shape, channels, |channel, sum| {
            sums.push((channel, sum))
        });
    }
    let expected: Vec<_> = (0..18)
        .map(|channel| (channel, 6 * (channel as i32 - 9)))
        .collect();
    assert_eq!(sums, expected);
}
