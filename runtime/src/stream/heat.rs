//! The temperature of the processor, and the rate that it allows.

use std::fs;
use std::path::Path;
use std::time::Duration;

/// Zones of the kernel's thermal framework.
const ZONES: &str = "/sys/class/thermal";
/// The firmware's throttle bits of a Raspberry Pi.
const RASPBERRY_THROTTLED: &str = "/sys/devices/platform/soc/soc:firmware/get_throttled";
/// Above the limit, the share of time that may be spent falls to [`LEAST_SHARE`] over so many degrees.
const SPAN: f32 = 10.0;
/// The least share of the time that is spent on inference, however hot it is.
const LEAST_SHARE: f32 = 0.1;
/// Bits of `get_throttled`: under-voltage, frequency capped, throttled, soft temperature limit, all at present.
const AT_PRESENT: u32 = 0xf;

/// What the sensors say.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Heat {
    /// The hottest zone, in degrees Celsius; `None` where there is no sensor.
    pub celsius: Option<f32>,
    /// Under-voltage or throttling at present, where the firmware tells.
    pub throttled: Option<bool>,
}

/// Reads the sensors.
pub fn read() -> Heat {
    read_from(Path::new(ZONES), Path::new(RASPBERRY_THROTTLED))
}

fn read_from(zones: &Path, throttled: &Path) -> Heat {
    let entries = fs::read_dir(zones).into_iter().flatten().flatten();
    let temperatures = entries.filter_map(|entry| {
        let text = fs::read_to_string(entry.path().join("temp")).ok()?;
        let celsius = text.trim().parse::<f32>().ok()? / 1000.0;
        // Unconnected sensors report absurd values.
        (0.0..150.0).contains(&celsius).then_some(celsius)
    });
    let bits = fs::read_to_string(throttled).ok().and_then(|text| {
        let digits = text.trim().trim_start_matches("0x").to_owned();
        u32::from_str_radix(&digits, 16).ok()
    });
    Heat {
        celsius: temperatures.max_by(f32::total_cmp),
        throttled: bits.map(|bits| bits & AT_PRESENT != 0),
    }
}

/// The time that must pass between the begins of two inferences, each of which takes `busy`, for the
/// temperature to stay near `limit`.
pub fn pace(heat: Heat, limit: f32, busy: Duration) -> Duration {
    let excess = heat.celsius.map_or(0.0, |celsius| celsius - limit);
    let mut share = 1.0 - excess.max(0.0) / SPAN;
    if heat.throttled == Some(true) {
        share = share.min(0.5);
    }
    busy.div_f64(share.clamp(LEAST_SHARE, 1.0).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUSY: Duration = Duration::from_millis(40);

    fn at(celsius: f32) -> Heat {
        Heat {
            celsius: Some(celsius),
            throttled: None,
        }
    }

    #[test]
    fn the_rate_falls_with_the_degrees_above_the_limit() {
        let milliseconds = |celsius| pace(at(celsius), 75.0, BUSY).as_secs_f32() * 1000.0;
        assert_eq!(milliseconds(60.0), 40.0);
        assert_eq!(milliseconds(75.0), 40.0);
        assert!((milliseconds(80.0) - 80.0).abs() < 0.01);
        assert!((milliseconds(99.0) - 400.0).abs() < 0.01);
    }

    #[test]
    fn a_throttled_processor_gets_half_the_work() {
        let heat = Heat {
            celsius: None,
            throttled: Some(true),
        };
        assert_eq!(pace(heat, 75.0, BUSY), 2 * BUSY);
    }

    #[test]
    fn the_hottest_sane_zone_counts() {
        let folder = std::env::temp_dir().join(format!("graphtag-zones-{}", std::process::id()));
        for (zone, text) in [
            ("a", "41000\n"),
            ("b", "78500\n"),
            ("c", "-274000\n"),
            ("d", "x"),
        ] {
            fs::create_dir_all(folder.join(zone)).unwrap();
            fs::write(folder.join(zone).join("temp"), text).unwrap();
        }
        let bits = folder.join("get_throttled");
        fs::write(&bits, "50000\n").unwrap();
        let heat = read_from(&folder, &bits);
        assert_eq!((heat.celsius, heat.throttled), (Some(78.5), Some(false)));
        fs::write(&bits, "0x50005\n").unwrap();
        assert_eq!(read_from(&folder, &bits).throttled, Some(true));
        fs::remove_dir_all(folder).unwrap();
    }
}
