//! `graphtag bench`.

use graphtag_tests::{fixture, run};
use serde_json::Value;

fn bench(arguments: &[&str]) -> Value {
    let run = run([&["bench", "--runs", "3", "--format", "json"], arguments].concat());
    assert_eq!((run.status, run.stderr.as_str()), (Some(0), ""));
    serde_json::from_str(&run.stdout).unwrap()
}

fn number(report: &Value, path: &str) -> f64 {
    let value = report.pointer(path).and_then(Value::as_f64);
    value.unwrap_or_else(|| panic!("{path} in {report}"))
}

#[test]
fn the_default_model_runs_in_the_int8_engine_and_is_measured() {
    let report = bench(&["--threads", "2", "--profile"]);
    assert_eq!(report["engine"], "graphtag");
    assert_eq!(report["threads"], 2);
    assert!(number(&report, "/fused_ops") > 60.0);
    assert_eq!(report["unfused_ops"], 0);
    for path in ["/load_ms", "/peak_rss_kb", "/gmacs_per_s"] {
        assert!(number(&report, path) > 0.0, "{path}");
    }
    if report["cpu"]["instruction_set"] != "scalar" {
        let share = number(&report, "/share_of_peak");
        let exact = number(&report, "/gmacs_per_s") / (2.0 * number(&report, "/peak_gmacs_per_s"));
        assert!((share - exact).abs() < 1e-3, "{share} for {exact}");
        assert!(share > 0.0 && share < 1.0, "{share}");
        assert!(number(&report, "/profile/0/share_of_peak") > 0.0);
    }
    for clock in ["wall_ms", "cpu_ms"] {
        for work in ["preprocess", "inference"] {
            let percentile = |name| number(&report, &format!("/{work}/{clock}/{name}"));
            assert!(percentile("p50") > 0.0 && percentile("p50") <= percentile("p90"));
            assert!(percentile("p90") <= percentile("p99"));
        }
    }
    let steps = report["profile"].as_array().unwrap();
    let macs: u64 = steps
        .iter()
        .map(|step| step["macs"].as_u64().unwrap())
        .sum();
    let classifier = 80 * 1280;
    assert_eq!(macs + classifier, report["macs"].as_u64().unwrap());
}

#[test]
fn tract_alone_can_be_measured() {
    let report = bench(&["--engine", "tract"]);
    assert_eq!(
        (&report["engine"], &report["fused_ops"]),
        (&"tract".into(), &0.into())
    );
    assert_eq!(report.get("profile"), None);
}

#[test]
fn a_foreign_model_needs_no_labels() {
    let model = fixture("colours_foreign.onnx");
    let report = bench(&["--model", model.to_str().unwrap()]);
    assert_eq!(report["model"], "colours_foreign");
    assert_eq!(report["macs"], 0);
}

#[test]
fn no_runs_are_wrong_usage() {
    let run = run(["bench", "--runs", "0"]);
    assert_eq!(run.status, Some(2));
    assert_eq!(
        run.stderr,
        "graphtag: --runs 0: at least one run is needed\n"
    );
}
