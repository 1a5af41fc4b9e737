//! Steps of the optimisers, held against their published formulas (`tools/fixtures/optimizers.py`).

use std::collections::BTreeMap;

use burn::tensor::{Device, Tensor};
use graphtag_models::Weights;
use graphtag_tools::training::optimizer::{Gradients, Group, Rule, Trainer};
use graphtag_tools::training::parameters::{Parameters, flat, values};
use serde_json::Value;

fn numbers(value: &Value) -> Vec<f32> {
    serde_json::from_value(value.clone()).unwrap()
}

/// The gradient of sum(c w^4 / 4 - w) by burn's autodiff.
fn gradients(trainer: &Trainer, parameters: &Parameters, curvature: &[f32]) -> Gradients {
    let tracked = trainer.tracked(parameters);
    let curvature = flat(curvature.to_vec(), &Device::flex().autodiff());
    let weights: Tensor<1> = tracked.flat("w");
    let loss = (curvature * weights.clone().powi_scalar(4) / 4.0 - weights).sum();
    Gradients::of(trainer.names(), &tracked, &loss.backward())
}

#[test]
fn optimizers_follow_their_formulas() {
    let fixture: Value = serde_json::from_str(include_str!("../fixtures/optimizers.json")).unwrap();
    let curvature = numbers(&fixture["curvature"]);
    let start = numbers(&fixture["start"]);
    let device = Device::flex();
    for case in fixture["cases"].as_array().unwrap() {
        let tensor = graphtag_models::Tensor {
            shape: vec![start.len()],
            values: start.clone(),
        };
        let weights = Weights {
            tensors: BTreeMap::from([("w".to_string(), tensor)]),
        };
        let mut parameters = Parameters::new(&weights, &device);
        let number = |name: &str| case[name].as_f64().unwrap();
        let rule: Rule = serde_json::from_value(case["optimizer"].clone()).unwrap();
        let group = Group {
            names: vec!["w".into()],
            rate: 1.0,
            weight_decay: number("weight_decay"),
        };
        let decay = number("average_decay");
        let mut trainer = Trainer::new(rule, vec![group], &parameters, decay, &device);
        for (step, expected) in case["weights"].as_array().unwrap().iter().enumerate() {
            let mut found = gradients(&trainer, &parameters, &curvature);
            if let Some(distance) = case["sharpness"].as_f64() {
                let moved = found.ascend(&parameters, distance, &device);
                found = gradients(&trainer, &moved, &curvature);
            }
            if let Some(most) = case["clip"].as_f64() {
                found.clip(most);
            }
            trainer.step(&mut parameters, &found, number("rate"));
            for (found, expected) in values(parameters.flat("w")).iter().zip(numbers(expected)) {
                assert!(
                    (found - expected).abs() < 1e-4,
                    "{case}, step {step}: {found}, not {expected}"
                );
            }
        }
        let average = values(trainer.averaged(&parameters).flat("w"));
        for (found, expected) in average.iter().zip(numbers(&case["average"])) {
            assert!(
                (found - expected).abs() < 1e-4,
                "{case}: average {found}, not {expected}"
            );
        }
    }
}
