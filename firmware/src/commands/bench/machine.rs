//! What the kernel tells of the machine.

use std::fs;

use graphtag_runtime::kernels::InstructionSet;
use graphtag_runtime::stream::heat;
use serde::Serialize;

/// The processor that measured.
#[derive(Serialize)]
pub struct Cpu {
    /// Its name, as the kernel has it.
    pub model: Option<String>,
    /// Processors that the process may use.
    pub count: Option<usize>,
    /// The instruction set of the int8 kernels.
    pub instruction_set: &'static str,
    /// How the clock's rate is chosen.
    pub governor: Option<String>,
    /// The hottest thermal zone.
    pub temperature_celsius: Option<f32>,
}

impl Cpu {
    /// Of this machine; what the kernel does not tell is left out.
    pub fn here() -> Self {
        Cpu {
            model: field("/proc/cpuinfo", "model name").or_else(device_tree_model),
            count: std::thread::available_parallelism().ok().map(usize::from),
            instruction_set: InstructionSet::detect().name(),
            governor: line("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
            temperature_celsius: heat::read().celsius,
        }
    }
}

/// The most memory that the process has had resident, in KiB.
pub fn peak_rss_kb() -> Option<u64> {
    let value = field("/proc/self/status", "VmHWM")?;
    value.split_whitespace().next()?.parse().ok()
}

fn field(path: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    text.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        (key.trim() == name).then(|| value.trim().to_string())
    })
}

fn line(path: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    Some(text.trim_matches(['\0', '\n', ' ']).to_string())
}

fn device_tree_model() -> Option<String> {
    line("/proc/device-tree/model")
}
