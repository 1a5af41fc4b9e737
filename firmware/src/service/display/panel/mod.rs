//! Panels: where scenes are shown.

mod framebuffer;
mod png;
mod spi;
mod ssd1306;

use std::fs::OpenOptions;
use std::io::ErrorKind;
use std::path::Path;

use anyhow::{Result, anyhow};

use super::address::DisplayAddress;
use super::scene::Scene;

/// Something that shows scenes.
pub trait Panel {
    /// Shows `scene`, and sends no more than what has changed.
    ///
    /// # Errors
    /// When the panel or its file can't be written to; it must be opened anew.
    fn show(&mut self, scene: &Scene) -> Result<()>;

    /// Leaves the panel as it is to look while nothing runs.
    ///
    /// # Errors
    /// As for [`Panel::show`].
    fn finish(&mut self) -> Result<()>;
}

/// Why a panel can't be used, with the remedy.
#[derive(Debug)]
pub enum Unusable {
    /// As it is set up, it never can.
    Misconfigured(anyhow::Error),
    /// It does not answer, as one that is unplugged.
    Away(anyhow::Error),
}

/// Opens and prepares the panel at `address`. A driver may gather what it sends in `buffer`.
///
/// # Errors
/// When it can't be used.
pub fn open<'a>(
    address: &DisplayAddress,
    buffer: &'a mut Vec<u8>,
) -> Result<Box<dyn Panel + 'a>, Unusable> {
    Ok(match address {
        DisplayAddress::Framebuffer(device) => Box::new(framebuffer::open(device)?),
        DisplayAddress::Spi(address) => spi::open(address, buffer)?,
        DisplayAddress::Ssd1306(address) => ssd1306::open(address)?,
        DisplayAddress::Png { path, size, mono } => {
            let file = png::PngFile::open(path, *size, *mono);
            Box::new(file.map_err(Unusable::Misconfigured)?)
        }
    })
}

/// Whether `device` is there and may be used. `absent` says what makes it appear, `group` who may use it.
fn check_device(device: &Path, absent: &str, group: &str) -> Result<(), Unusable> {
    let Err(error) = OpenOptions::new().read(true).write(true).open(device) else {
        return Ok(());
    };
    let remedy = match error.kind() {
        ErrorKind::NotFound => absent.to_owned(),
        ErrorKind::PermissionDenied => format!("add the user to the group {group}"),
        _ => "is it the right device?".to_owned(),
    };
    let device = device.display();
    Err(Unusable::Misconfigured(anyhow!(
        "{device}: {error}; {remedy}"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_that_is_not_there_comes_with_its_remedy() {
        for (address, remedy) in [
            (
                "st7789:/dev/no-spi,25,27",
                "/dev/no-spi: No such file or directory (os error 2); switch SPI on",
            ),
            (
                "ssd1306:/dev/no-i2c",
                "/dev/no-i2c: No such file or directory (os error 2); switch I2C on",
            ),
            ("png:/no/folder/x.png", "/no/folder/x.png"),
        ] {
            let mut buffer = Vec::new();
            let result = open(&address.parse().unwrap(), &mut buffer);
            let Err(Unusable::Misconfigured(error)) = result else {
                panic!("{address} is refused");
            };
            let message = format!("{error:#}");
            assert!(message.starts_with(remedy), "{message}");
        }
    }

    #[test]
    fn a_screen_that_is_not_plugged_in_may_come() {
        let mut buffer = Vec::new();
        let result = open(&"fb:/dev/no-fb".parse().unwrap(), &mut buffer);
        let Err(Unusable::Away(error)) = result else {
            panic!("it is away");
        };
        assert!(
            format!("{error:#}").starts_with("/dev/no-fb: "),
            "{error:#}"
        );
    }
}
