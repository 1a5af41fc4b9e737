//! The losses and their gradients, held against PyTorch's autograd (`tools/fixtures/losses.py`) and against
//! finite differences.

use burn::tensor::{Device, Tensor, TensorData};
use graphtag_tools::training::loss::{
    AngularMargin, Asymmetric, Truth, angular_margin, asymmetric, binary_kl, mutual,
};
use graphtag_tools::training::parameters::values;
use serde_json::Value;

fn fixture() -> Value {
    serde_json::from_str(include_str!("../fixtures/losses.json")).unwrap()
}

fn matrix(value: &Value) -> Tensor<2> {
    let rows: Vec<Vec<f64>> = serde_json::from_value(value.clone()).unwrap();
    let flat: Vec<f32> = rows.iter().flatten().map(|&x| x as f32).collect();
    let shape = [rows.len(), rows[0].len()];
    Tensor::from_data(TensorData::new(flat, shape), &Device::flex().autodiff())
}

fn number(case: &Value, name: &str) -> f64 {
    case[name].as_f64().unwrap()
}

fn truth(fixture: &Value, known: &Value) -> Truth {
    let inputs = &fixture["inputs"];
    Truth {
        present: matrix(&inputs["target"]),
        known: matrix(&inputs["known"][known.as_str().unwrap()]),
    }
}

/// Checks the value, and the gradient with respect to the input.
fn assert_case(case: &Value, input: Tensor<2>, loss: impl Fn(Tensor<2>) -> Tensor<1>) {
    let input = input.require_grad();
    let value = loss(input.clone());
    let gradient = values(input.grad(&value.backward()).unwrap());
    let value = values(value.inner())[0];
    let expected = number(case, "value") as f32;
    assert!(
        (value - expected).abs() < 1e-4 * expected.abs().max(1.0),
        "{case}: {value}"
    );
    for (found, expected) in gradient.iter().zip(values(matrix(&case["gradient"]))) {
        assert!(
            (found - expected).abs() < 1e-4,
            "{case}: {found}, not {expected}"
        );
    }
}

#[test]
fn angular_margin_equals_pytorch() {
    let fixture = fixture();
    for case in fixture["aam"].as_array().unwrap() {
        let settings = AngularMargin {
            scale: number(case, "scale"),
            margin: number(case, "margin"),
            positive_weight: number(case, "balance"),
            positive_focus: number(case, "focusing_positive"),
            negative_focus: number(case, "focusing_negative"),
        };
        let truth = truth(&fixture, &case["known"]);
        let cosines = matrix(&fixture["inputs"]["cosines"]);
        assert_case(case, cosines, |cosines| {
            angular_margin(settings, cosines * settings.scale, &truth)
        });
    }
}

#[test]
fn asymmetric_equals_pytorch() {
    let fixture = fixture();
    for case in fixture["asl"].as_array().unwrap() {
        let settings = Asymmetric {
            positive_focus: number(case, "focusing_positive"),
            negative_focus: number(case, "focusing_negative"),
            clip: number(case, "clip"),
        };
        let truth = truth(&fixture, &case["known"]);
        let logits = matrix(&fixture["inputs"]["logits"]);
        assert_case(case, logits, |logits| asymmetric(settings, logits, &truth));
    }
}

#[test]
fn binary_kl_equals_pytorch() {
    let fixture = fixture();
    let inputs = &fixture["inputs"];
    let cases = fixture["binary_kl"].as_array().unwrap();
    let case = cases.iter().find(|case| case["known"] == "all").unwrap();
    assert_case(case, matrix(&inputs["logits"]), |student| {
        binary_kl(matrix(&inputs["teacher_logits"]), student, 1.0)
    });
}

#[test]
fn angular_margin_by_hand() {
    // One photo, a present and an absent label at cos 0: both probabilities are one half, so
    // L = (0.7 / 17 + 0.3 / 17) ln 2.
    let device = Device::flex();
    let row = |values: [f32; 2]| Tensor::<2>::from_data([values], &device);
    let truth = Truth {
        present: row([1.0, 0.0]),
        known: row([1.0, 1.0]),
    };
    let loss = values(angular_margin(
        AngularMargin::default(),
        row([0.0, 0.0]),
        &truth,
    ))[0];
    assert!(
        (loss - std::f32::consts::LN_2 / 17.0).abs() < 1e-7,
        "{loss}"
    );
}

#[test]
fn gradients_equal_finite_differences() {
    let fixture = fixture();
    let truth = truth(&fixture, &"all".into());
    let settings = AngularMargin {
        margin: 0.1,
        positive_focus: 1.0,
        negative_focus: 2.0,
        ..AngularMargin::default()
    };
    let loss = |logits| angular_margin(settings, logits, &truth);
    let point = matrix(&fixture["inputs"]["logits"]).require_grad();
    let gradient = values(point.grad(&loss(point.clone()).backward()).unwrap());
    let start = values(point.inner());
    let step = 1e-2f32;
    for (index, gradient) in gradient.iter().enumerate() {
        let at = |offset: f32| {
            let mut moved = start.clone();
            moved[index] += offset;
            let data = TensorData::new(moved, [3, 5]);
            let logits = Tensor::from_data(data, &Device::flex().autodiff());
            f64::from(values(loss(logits).inner())[0])
        };
        let difference = (at(step) - at(-step)) / f64::from(2.0 * step);
        assert!(
            (difference - f64::from(*gradient)).abs() < 1e-4,
            "{index}: {difference}, {gradient}"
        );
    }
}

/// Chances of 1/2 and 3/4: divergences of ln(27/16)/4 and ln(4/3)/2, gradients of -1/4 and -ln(3)/4.
#[test]
fn peers_diverge_in_both_directions() {
    let device = Device::flex().autodiff();
    let own = Tensor::<2>::from_data([[0.0f32]], &device).require_grad();
    let peer = Tensor::<2>::from_data([[3f32.ln()]], &device);
    let loss = mutual(own.clone(), peer.detach());
    let gradient = values(own.grad(&loss.backward()).unwrap())[0];
    let expected = (1.6875f32.ln() / 4.0 + (4f32 / 3.0).ln() / 2.0) / 2.0;
    assert!((values(loss.inner())[0] - expected).abs() < 1e-6);
    assert!(
        (gradient + (1.0 + 3f32.ln()) / 8.0).abs() < 1e-6,
        "{gradient}"
    );
}
