//! Processor, temperature and memory.

use std::fs;

use graphtag_runtime::kernels::InstructionSet;
use graphtag_runtime::stream::heat;

use super::Finding;
use crate::commands::bench::machine::Cpu;

/// Degrees Celsius above which a Raspberry Pi throttles itself.
const HOT: f32 = 80.0;
/// Megabytes that a service with the default model takes, and some for what it decodes.
const MEMORY: u64 = 150;

pub fn findings() -> Vec<Finding> {
    let mut findings = vec![processor()];
    findings.extend(temperature());
    findings.extend(memory());
    findings
}

fn processor() -> Finding {
    let cpu = Cpu::here();
    let name = cpu.model.unwrap_or_else(|| "unknown".into());
    let available = InstructionSet::available();
    let names: Vec<&str> = available.iter().map(|set| set.name()).collect();
    let text = format!(
        "{name}, {} cores; int8 kernels: {}",
        cpu.count.unwrap_or(1),
        names.join(", ")
    );
    if InstructionSet::detect() == InstructionSet::Scalar {
        let remedy =
            "it works, but slowly: the processor has none of the instructions that graphtag knows";
        return Finding::warning("processor", text, remedy);
    }
    Finding::ok("processor", text)
}

fn temperature() -> Vec<Finding> {
    let heat = heat::read();
    let mut findings = Vec::new();
    if let Some(celsius) = heat.celsius {
        let text = format!("{celsius:.0} degrees Celsius");
        findings.push(if celsius < HOT {
            Finding::ok("temperature", text)
        } else {
            Finding::warning("temperature", text, "cool the processor, or set max_fps")
        });
    }
    if heat.throttled == Some(true) {
        findings.push(Finding::warning(
            "power",
            "the processor is throttled or under-powered at present",
            "use the power supply that came with the board, and a short cable",
        ));
    }
    findings
}

fn memory() -> Option<Finding> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    let megabytes = |key: &str| -> Option<u64> {
        let line = text.lines().find_map(|line| line.strip_prefix(key))?;
        let kilobytes: u64 = line.split_whitespace().next()?.parse().ok()?;
        Some(kilobytes * 1024 / 1_000_000)
    };
    let (available, total) = (megabytes("MemAvailable:")?, megabytes("MemTotal:")?);
    let text = format!("{available} of {total} MB available");
    Some(if available >= MEMORY {
        Finding::ok("memory", text)
    } else {
        let remedy = format!("end other programs: the service takes up to {MEMORY} MB");
        Finding::warning("memory", text, remedy)
    })
}
