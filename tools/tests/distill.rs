//! Distillation by the real binary on made photos: killed and run again, it ends with the same weights.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use graphtag_models::{
    Architecture, ColorOrder, Filter, Metadata, Network, Preprocessing, Resize, Tensor, Weights,
    fold, labels, onnx,
};
use graphtag_tools::teacher::{Description, Output, Provenance, Row, SoftLabels, write_shard};
use half::f16;
use image::{Rgb, RgbImage};

const PHOTOS: usize = 24;

const RECIPE: &str = r#"
seed = 5
backbone = "efficientnet-lite0"
head = "linear-angular"
input = 32
deployed_input = 32
validation = 0.3
views = 2
teach_views = false
frozen_through = "blocks.14.add"
freeze_depthwise = true
average_decay = 0.9

[augmentation]
smallest_area = 0.5
aspect = 1.2
color = 0.2
mosaic = 0.3

[loss]
truth_weight = 1.0
teacher_weight = 1.0
temperature = 1.0

[loss.angular_margin]
scale = 17.0
margin = 0.0
positive_weight = 0.7
positive_focus = 0.0
negative_focus = 0.0

[head_stage]
views = 2
epochs = 60
batch = 4
head_rate = 1e-2
backbone_rate = 0.0
weight_decay = 1e-4
warm_up = 0.2
repeat_below = 0.0
most_repeats = 1.0

[tail_stage]
views = 2
epochs = 40
batch = 4
head_rate = 1e-3
backbone_rate = 1e-3
weight_decay = 1e-4
clip = 5.0
patience = 100
warm_up = 0.2
repeat_below = 0.0
most_repeats = 1.0
"#;

/// Red photos are of a person and blue ones of a bicycle, says the teacher.
fn make_inputs(folder: &Path) {
    let photos = folder.join("photos");
    fs::create_dir(&photos).unwrap();
    let rows: Vec<Row> = (0..PHOTOS)
        .map(|index| {
            let is_red = index % 2 == 0;
            let photo = RgbImage::from_fn(40, 32, |x, y| {
                let shade = (x * 5 + y * 3 + index as u32 * 7) as u8;
                Rgb(if is_red {
                    [220, shade / 4, 20]
                } else {
                    [20, shade / 4, 220]
                })
            });
            let name = format!("{index:02}.png");
            photo.save(photos.join(&name)).unwrap();
            let mut logits = vec![-4.0; 80];
            logits[usize::from(!is_red)] = 4.0;
            Row {
                photo: format!("photos/{name}"),
                sha256: String::new(),
                logits,
            }
        })
        .collect();
    let provenance = Provenance {
        teacher: Description {
            file: "teacher.onnx".into(),
            sha256: "0".into(),
            preprocessing: preprocessing(),
            output: Output::Logits,
            labels: labels::coco80(),
        },
        photos_sha256: "0".into(),
    };
    let soft_labels = folder.join("soft-labels");
    fs::create_dir(&soft_labels).unwrap();
    write_shard(&soft_labels.join("part-00000.parquet"), &provenance, &rows).unwrap();
    fs::write(folder.join("recipe.toml"), RECIPE).unwrap();
    fs::write(folder.join("backbone.safetensors"), backbone()).unwrap();
}

fn preprocessing() -> Preprocessing {
    Preprocessing {
        height: 32,
        width: 32,
        resize: Resize::Stretch,
        filter: Filter::Bilinear,
        mean: [127.5; 3],
        scale: [1.0 / 127.5; 3],
        color: ColorOrder::Rgb,
    }
}

fn architecture(labels: usize) -> Architecture {
    Architecture {
        backbone: "efficientnet-lite0".parse().unwrap(),
        head: "linear".parse().unwrap(),
        input: "32".parse().unwrap(),
        labels,
    }
}

fn backbone() -> Vec<u8> {
    let weights = patterned(&architecture(1000).lower());
    weights.to_safetensors(&BTreeMap::new()).unwrap()
}

/// Weights of a fixed pattern and a sensible size.
fn patterned(network: &Network) -> Weights {
    let tensors = network.all_parameters().into_iter().map(|parameter| {
        let length: usize = parameter.shape.iter().product();
        let fan: usize = parameter.shape[1..].iter().product();
        let size = (2.0 / fan.max(1) as f32).sqrt();
        let pattern = |i: usize| ((i * 7919 + 13) % 1009) as f32 / 1009.0 - 0.5;
        let values = match parameter.name.rsplit('.').next().unwrap() {
            "running_variance" => vec![1.0; length],
            "weight" if parameter.shape.len() == 1 => vec![1.0; length],
            "bias" | "running_mean" => vec![0.0; length],
            _ => (0..length).map(|i| pattern(i) * 3.5 * size).collect(),
        };
        let shape = parameter.shape;
        (parameter.name, Tensor { shape, values })
    });
    Weights {
        tensors: tensors.collect(),
    }
}

fn tools(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_graphtag-tools"));
    command.current_dir(folder);
    command
}

fn start(folder: &Path, out: &str) -> Child {
    start_with(folder, out, &[])
}

fn start_with(folder: &Path, out: &str, arguments: &[&str]) -> Child {
    tools(folder)
        .args([
            "distill",
            "--recipe",
            "recipe.toml",
            "--weights",
            "backbone.safetensors",
        ])
        .args([
            "--soft-labels",
            "soft-labels",
            "--data",
            "dir:photos",
            "--out",
            out,
        ])
        .args(arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

fn finish(child: Child) -> String {
    let output = child.wait_with_output().unwrap();
    let log = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{log}");
    log
}

/// Kills the run as soon as `file` is there.
fn kill_at(mut child: Child, file: &Path) {
    let deadline = Instant::now() + Duration::from_secs(300);
    while !file.exists() {
        assert!(
            child.try_wait().unwrap().is_none(),
            "ended before {}",
            file.display()
        );
        assert!(Instant::now() < deadline, "{} never came", file.display());
        std::thread::yield_now();
    }
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_killed_run_ends_with_the_weights_of_an_unbroken_one() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    make_inputs(folder);
    let log = finish(start(folder, "unbroken"));

    // The loss falls: the photos differ by nothing but their colour.
    let losses: Vec<f64> = log
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .filter_map(|line| line["loss"].as_f64())
        .collect();
    assert_eq!(losses.len(), 100);
    assert!(losses[59] < 0.5 * losses[0], "{losses:?}");

    kill_at(
        start(folder, "broken"),
        &folder.join("broken/training-maps.f16"),
    );
    kill_at(
        start(folder, "broken"),
        &folder.join("broken/head.checkpoint"),
    );
    kill_at(
        start(folder, "broken"),
        &folder.join("broken/tail.checkpoint"),
    );
    assert!(!folder.join("broken/weights.safetensors").exists());
    finish(start(folder, "broken"));
    let weights = |out: &str| fs::read(folder.join(out).join("weights.safetensors")).unwrap();
    assert!(
        weights("unbroken") == weights("broken"),
        "the weights differ"
    );
}

#[test]
fn the_teacher_labels_every_view() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    make_inputs(folder);
    fs::remove_dir_all(folder.join("soft-labels")).unwrap();
    // The same from left to right: their mirrored views are the photos themselves.
    for index in 0..PHOTOS {
        let photo = RgbImage::from_fn(40, 32, |_, y| Rgb([y as u8 * 8, index as u8 * 10, 90]));
        photo
            .save(folder.join(format!("photos/{index:02}.png")))
            .unwrap();
    }
    fs::write(folder.join("teacher.onnx"), teacher()).unwrap();
    let label = tools(folder)
        .args(["label", "--teacher", "teacher.onnx", "--photos", "photos"])
        .args(["--out", "soft-labels"])
        .output()
        .unwrap();
    assert!(label.status.success(), "{label:?}");
    let recipe = RECIPE
        .replace("teach_views = false", "teach_views = true")
        .replace("smallest_area = 0.5", "smallest_area = 1.0")
        .replace("aspect = 1.2", "aspect = 1.0")
        .replace("color = 0.2", "color = 0.0")
        .replace("mosaic = 0.3", "mosaic = 0.0")
        .replace("epochs = 60", "epochs = 1")
        .replace("epochs = 40", "epochs = 1");
    fs::write(folder.join("recipe.toml"), recipe).unwrap();

    let refused = start(folder, "out").wait_with_output().unwrap();
    let log = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(refused.status.code(), Some(1));
    assert!(log.contains("give it with --teacher FILE"), "{log}");

    finish(start_with(folder, "out", &["--teacher", "teacher.onnx"]));
    let soft_labels = SoftLabels::read(&folder.join("soft-labels")).unwrap();
    let validation = fs::read_to_string(folder.join("out/validation.txt")).unwrap();
    let mut names: Vec<&String> = soft_labels.by_photo.keys().collect();
    names.retain(|name| !validation.lines().any(|line| line == name.as_str()));
    names.sort();
    let expected: Vec<f16> = names
        .iter()
        .flat_map(|&name| &soft_labels.by_photo[name])
        .map(|&logit| f16::from_f32(logit))
        .collect();
    let bytes = fs::read(folder.join("out/teacher-of-views.f16")).unwrap();
    let (halves, _) = bytes.as_chunks::<2>();
    let found: Vec<f16> = halves
        .iter()
        .map(|&half| f16::from_le_bytes(half))
        .collect();
    assert_eq!(found, expected);
    assert!(found.iter().any(|&logit| logit != found[0]));
}

/// A classifier of 80 labels, its weights a pattern.
fn teacher() -> Vec<u8> {
    let architecture = architecture(80);
    let network = architecture.lower();
    let (network, weights) = fold(&network, &patterned(&network)).unwrap();
    let metadata = Metadata {
        name: "teacher".into(),
        labels: labels::coco80(),
        thresholds: vec![0.5; 80],
        preprocessing: preprocessing(),
        architecture: Some(architecture),
        provenance: Default::default(),
        accuracy: vec![],
        golden: None,
    };
    onnx::float(&network, &weights, &metadata).unwrap()
}

#[test]
fn peers_of_one_seed_learn_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    make_inputs(folder);
    let recipe = RECIPE
        .replace("epochs = 60", "epochs = 2")
        .replace(
            "epochs = 40",
            "epochs = 2\noptimizer = { kind = \"sgd\", momentum = 0.9 }\nsharpness = 0.05",
        )
        .replace(
            "temperature = 1.0",
            "temperature = 1.0\nmutual_weight = 1.0",
        )
        .replace("blocks.14.add", "blocks.14");
    let weights = |out: &str| fs::read(folder.join(out).join("weights.safetensors")).unwrap();
    fs::write(folder.join("recipe.toml"), &recipe).unwrap();
    finish(start(folder, "first"));
    finish(start(folder, "second"));
    assert!(weights("first") == weights("second"), "the weights differ");

    let alone = recipe.replace("mutual_weight = 1.0", "mutual_weight = 0.0");
    fs::write(folder.join("recipe.toml"), alone).unwrap();
    finish(start(folder, "alone"));
    assert!(
        weights("first") != weights("alone"),
        "the peer changed nothing"
    );
}

#[test]
fn what_later_layers_read_is_not_frozen_away() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    make_inputs(folder);
    for (name, message) in [
        (
            "blocks.14.depthwise.convolution",
            "blocks.14.add reads a layer before blocks.14.depthwise.convolution",
        ),
        (
            "blocks.99",
            "there is neither a layer nor a block blocks.99",
        ),
    ] {
        let recipe = RECIPE.replace("blocks.14.add", name);
        fs::write(folder.join("recipe.toml"), recipe).unwrap();
        let output = start(folder, "out").wait_with_output().unwrap();
        let log = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1));
        assert!(log.contains(message), "{log}");
    }
}

#[test]
fn a_checkpoint_of_another_recipe_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    make_inputs(folder);
    let short = RECIPE
        .replace("epochs = 60", "epochs = 1")
        .replace("epochs = 40", "epochs = 1");
    fs::write(folder.join("recipe.toml"), &short).unwrap();
    finish(start(folder, "out"));
    fs::write(
        folder.join("recipe.toml"),
        short.replace("head_rate = 1e-2", "head_rate = 2e-2"),
    )
    .unwrap();
    let output = start(folder, "out").wait_with_output().unwrap();
    let log = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(
        log.contains("head.checkpoint: a checkpoint of another recipe"),
        "{log}"
    );
}
