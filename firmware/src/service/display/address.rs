//! How a display is named in the settings.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use embedded_graphics::geometry::Size;

/// What an address may be, for messages.
const FORMS: &str =
    "fb:/dev/fb0, st7789:SPIDEV,DC,RESET, ili9341:SPIDEV,DC,RESET, ssd1306:/dev/i2c-1 or png:FILE";
/// The memory of the ST7789 and of the ILI9341.
const CONTROLLER: Size = Size::new(240, 320);
/// A picture file without a size.
const PICTURE: Size = Size::new(320, 240);
/// The largest side of a picture file.
const LARGEST: u32 = 4096;
/// Where GPIOs are, unless told otherwise.
const CHIP: &str = "/dev/gpiochip0";
/// The address of most SSD1306.
const SSD1306: u8 = 0x3c;

/// A display: what it is and where.
#[derive(Clone, Debug, PartialEq)]
pub enum DisplayAddress {
    /// `fb:DEVICE`, such as HDMI's.
    Framebuffer(PathBuf),
    /// `st7789:` or `ili9341:`.
    Spi(SpiAddress),
    /// `ssd1306:`.
    Ssd1306(Ssd1306Address),
    /// `png:FILE[,WIDTHxHEIGHT[,mono]]`.
    Png {
        /// The file.
        path: PathBuf,
        /// Columns and rows.
        size: Size,
        /// Black and white.
        mono: bool,
    },
}

/// `SPIDEV,DC_GPIO,RESET_GPIO[,WIDTHxHEIGHT][,rotate=DEGREES][,backlight=GPIO][,chip=DEVICE]`.
#[derive(Clone, Debug, PartialEq)]
pub struct SpiAddress {
    /// What drives the panel.
    pub controller: SpiController,
    /// The SPI device.
    pub device: PathBuf,
    /// The GPIO of the data/command line.
    pub data_command: u32,
    /// The GPIO of the reset line.
    pub reset: u32,
    /// The GPIO that switches the backlight, if any.
    pub backlight: Option<u32>,
    /// The GPIOs' device.
    pub chip: PathBuf,
    /// Columns and rows before the rotation, at most 240 x 320.
    pub size: Size,
    /// Degrees, a multiple of 90.
    pub rotate: u32,
}

/// A controller of SPI panels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpiController {
    /// Sitronix ST7789.
    St7789,
    /// Ilitek ILI9341.
    Ili9341,
}

/// `DEVICE[,ADDRESS][,128x32][,rotate=180]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Ssd1306Address {
    /// The I2C bus.
    pub device: PathBuf,
    /// The panel's address on it.
    pub address: u8,
    /// 64 or 32 rows.
    pub rows: u32,
    /// Upside down.
    pub upside_down: bool,
}

impl fmt::Display for DisplayAddress {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let (kind, path) = match self {
            DisplayAddress::Framebuffer(device) => ("fb", device),
            DisplayAddress::Spi(spi) => match spi.controller {
                SpiController::St7789 => ("st7789", &spi.device),
                SpiController::Ili9341 => ("ili9341", &spi.device),
            },
            DisplayAddress::Ssd1306(panel) => ("ssd1306", &panel.device),
            DisplayAddress::Png { path, .. } => ("png", path),
        };
        write!(f, "{kind}:{}", path.display())
    }
}

impl FromStr for DisplayAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parsed = match text.split_once(':') {
            Some((_, "")) | None => return Err(format!("display: {text} is none of {FORMS}")),
            Some(("fb", device)) => Ok(DisplayAddress::Framebuffer(device.into())),
            Some(("st7789", rest)) => spi(SpiController::St7789, rest),
            Some(("ili9341", rest)) => spi(SpiController::Ili9341, rest),
            Some(("ssd1306", rest)) => ssd1306(rest),
            Some(("png", rest)) => png(rest),
            Some((kind, _)) => Err(format!("there is no {kind}; it is one of {FORMS}")),
        };
        parsed.map_err(|problem| format!("display: {problem}"))
    }
}

fn spi(controller: SpiController, text: &str) -> Result<DisplayAddress, String> {
    let mut parts = text.split(',');
    let (Some(device), Some(dc), Some(reset)) = (parts.next(), parts.next(), parts.next()) else {
        return Err(format!(
            "{text} is not SPIDEV,DC_GPIO,RESET_GPIO, such as /dev/spidev0.0,25,27"
        ));
    };
    let mut spi = SpiAddress {
        controller,
        device: device.into(),
        data_command: number(dc)?,
        reset: number(reset)?,
        backlight: None,
        chip: CHIP.into(),
        size: match controller {
            SpiController::St7789 => Size::new(240, 240),
            SpiController::Ili9341 => CONTROLLER,
        },
        rotate: 0,
    };
    for part in parts {
        match part.split_once('=') {
            Some(("rotate", degrees)) => spi.rotate = rotation(degrees, &[0, 90, 180, 270])?,
            Some(("backlight", gpio)) => spi.backlight = Some(number(gpio)?),
            Some(("chip", device)) => spi.chip = device.into(),
            None => spi.size = size(part)?,
            Some(_) => {
                return Err(format!(
                    "{part} is neither WIDTHxHEIGHT, rotate=, backlight= nor chip="
                ));
            }
        }
    }
    if spi.size.width > CONTROLLER.width || spi.size.height > CONTROLLER.height {
        return Err(format!(
            "{} x {} is more than the controller's 240 x 320; for a panel that lies on its side add rotate=90",
            spi.size.width, spi.size.height
        ));
    }
    Ok(DisplayAddress::Spi(spi))
}

fn ssd1306(text: &str) -> Result<DisplayAddress, String> {
    let mut parts = text.split(',');
    let mut panel = Ssd1306Address {
        device: parts.next().unwrap_or_default().into(),
        address: SSD1306,
        rows: 64,
        upside_down: false,
    };
    for part in parts {
        match (part, part.split_once('=')) {
            ("128x64", _) => panel.rows = 64,
            ("128x32", _) => panel.rows = 32,
            (_, Some(("rotate", degrees))) => panel.upside_down = rotation(degrees, &[0, 180])? > 0,
            _ => panel.address = i2c_address(part)?,
        }
    }
    Ok(DisplayAddress::Ssd1306(panel))
}

/// The name of the file may have commas, unless its end looks like a size.
fn png(text: &str) -> Result<DisplayAddress, String> {
    let (text, mono) = match text.strip_suffix(",mono") {
        Some(text) => (text, true),
        None => (text, false),
    };
    let (path, size) = match text.rsplit_once(',') {
        Some((path, end)) => (path, size(end)?),
        None => (text, PICTURE),
    };
    if path.is_empty() || path.ends_with('/') {
        return Err(format!("png: {text} names no file"));
    }
    Ok(DisplayAddress::Png {
        path: path.into(),
        size,
        mono,
    })
}

fn size(text: &str) -> Result<Size, String> {
    let sides = text.split_once('x');
    let sides = sides.and_then(|(width, height)| {
        let side = |text: &str| {
            text.parse()
                .ok()
                .filter(|side| (1..=LARGEST).contains(side))
        };
        Some(Size::new(side(width)?, side(height)?))
    });
    sides.ok_or_else(|| format!("{text} is not WIDTHxHEIGHT, such as 240x240"))
}

fn number(text: &str) -> Result<u32, String> {
    let number = text.parse().ok();
    number.ok_or_else(|| format!("{text} is not the number of a GPIO, such as 25"))
}

fn rotation(text: &str, allowed: &[u32]) -> Result<u32, String> {
    let degrees = text
        .parse()
        .ok()
        .filter(|degrees| allowed.contains(degrees));
    degrees.ok_or_else(|| format!("rotate={text} is not one of {allowed:?}"))
}

/// Seven bits, without those that the bus reserves.
fn i2c_address(text: &str) -> Result<u8, String> {
    let digits = text.strip_prefix("0x");
    let address = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
    let address = address.filter(|address| (0x08..=0x77).contains(address));
    address.ok_or_else(|| {
        format!("{text} is neither an I2C address such as 0x3c, 128x32 nor rotate=180")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> DisplayAddress {
        text.parse().unwrap()
    }

    fn refused(text: &str) -> String {
        text.parse::<DisplayAddress>().unwrap_err()
    }

    #[test]
    fn every_kind_is_understood_with_its_options() {
        assert_eq!(
            parsed("fb:/dev/fb0"),
            DisplayAddress::Framebuffer("/dev/fb0".into())
        );
        let spi = SpiAddress {
            controller: SpiController::St7789,
            device: "/dev/spidev0.0".into(),
            data_command: 25,
            reset: 27,
            backlight: Some(24),
            chip: "/dev/gpiochip4".into(),
            size: Size::new(135, 240),
            rotate: 270,
        };
        let text =
            "st7789:/dev/spidev0.0,25,27,135x240,rotate=270,backlight=24,chip=/dev/gpiochip4";
        assert_eq!(parsed(text), DisplayAddress::Spi(spi.clone()));
        let plain = SpiAddress {
            controller: SpiController::Ili9341,
            backlight: None,
            chip: "/dev/gpiochip0".into(),
            size: Size::new(240, 320),
            rotate: 0,
            ..spi
        };
        assert_eq!(
            parsed("ili9341:/dev/spidev0.0,25,27"),
            DisplayAddress::Spi(plain)
        );
        let panel = Ssd1306Address {
            device: "/dev/i2c-1".into(),
            address: 0x3d,
            rows: 32,
            upside_down: true,
        };
        assert_eq!(
            parsed("ssd1306:/dev/i2c-1,0x3d,128x32,rotate=180"),
            DisplayAddress::Ssd1306(panel)
        );
        let png = DisplayAddress::Png {
            path: "/tmp/a,b.png".into(),
            size: Size::new(128, 64),
            mono: true,
        };
        assert_eq!(parsed("png:/tmp/a,b.png,128x64,mono"), png);
        assert!(matches!(
            parsed("png:x.png"),
            DisplayAddress::Png {
                size: PICTURE,
                mono: false,
                ..
            }
        ));
    }

    #[test]
    fn what_is_wrong_is_named_in_one_line() {
        for (text, named) in [
            ("", "is none of fb:/dev/fb0"),
            ("hdmi", "is none of fb:/dev/fb0"),
            ("fb:", "is none of"),
            ("vga:/dev/fb0", "there is no vga"),
            ("st7789:/dev/spidev0.0,25", "SPIDEV,DC_GPIO,RESET_GPIO"),
            (
                "st7789:/dev/spidev0.0,DC,27",
                "DC is not the number of a GPIO",
            ),
            ("ili9341:/dev/spidev0.0,25,27,320x240", "rotate=90"),
            (
                "st7789:/dev/spidev0.0,25,27,rotate=45",
                "rotate=45 is not one of [0, 90, 180, 270]",
            ),
            ("st7789:/dev/spidev0.0,25,27,dim=1", "dim=1 is neither"),
            ("ssd1306:/dev/i2c-1,60", "60 is neither an I2C address"),
            ("ssd1306:/dev/i2c-1,0x80", "0x80 is neither"),
            ("png:x.png,240", "240 is not WIDTHxHEIGHT"),
            ("png:x.png,0x240", "0x240 is not WIDTHxHEIGHT"),
            ("png:x.png,99999x1", "99999x1 is not"),
            ("png:,240x240", "names no file"),
        ] {
            let message = refused(text);
            assert!(message.starts_with("display: "), "{message}");
            assert!(message.contains(named), "{text}: {message}");
            assert!(!message.contains('\n'));
        }
    }
}
