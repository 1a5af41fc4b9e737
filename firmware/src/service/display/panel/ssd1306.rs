//! OLEDs with an SSD1306 on an I2C bus.

use ::ssd1306::mode::BufferedGraphicsMode;
use ::ssd1306::prelude::{
    Brightness, DisplayRotation, DisplaySize, DisplaySize128x32, DisplaySize128x64,
    WriteOnlyDataCommand,
};
use ::ssd1306::{I2CDisplayInterface, Ssd1306, mode::DisplayConfig};
use anyhow::{Result, anyhow};
use embedded_graphics::Pixel;
use embedded_graphics::draw_target::DrawTarget;
use embedded_graphics::geometry::{OriginDimensions, Point};
use embedded_graphics::pixelcolor::BinaryColor;
use linux_embedded_hal::I2cdev;
use linux_embedded_hal::i2cdev::core::I2CDevice;
use linux_embedded_hal::i2cdev::linux::LinuxI2CDevice;

use super::{Panel, Unusable, check_device};
use crate::service::display::address::Ssd1306Address;
use crate::service::display::canvas::Canvas;
use crate::service::display::layout;
use crate::service::display::scene::Scene;

const ABSENT: &str = "switch I2C on: dtparam=i2c_arm=on in /boot/firmware/config.txt and i2c-dev in /etc/modules, then restart";
/// The controller's command that does nothing, after the byte that says that a command follows.
const NOTHING: [u8; 2] = [0x00, 0xe3];

/// Opens the panel at `address`.
///
/// # Errors
/// When the bus can't be used, or the panel does not answer.
pub fn open(address: &Ssd1306Address) -> Result<Box<dyn Panel>, Unusable> {
    check_device(&address.device, ABSENT, "i2c")?;
    let silent = |cause: String| {
        let (at, bus) = (address.address, address.device.display());
        Unusable::Away(anyhow!(
            "{bus}: nothing answers at {at:#04x} ({cause}); is the panel plugged in? i2cdetect shows what is"
        ))
    };
    // The driver does not tell the cause.
    LinuxI2CDevice::new(&address.device, u16::from(address.address))
        .and_then(|mut device| device.write(&NOTHING))
        .map_err(|error| silent(error.to_string()))?;
    let bus = I2cdev::new(&address.device).map_err(|error| silent(error.to_string()))?;
    let interface = I2CDisplayInterface::new_custom_address(bus, address.address);
    let rotation = if address.upside_down {
        DisplayRotation::Rotate180
    } else {
        DisplayRotation::Rotate0
    };
    let opened = if address.rows == 32 {
        Oled::start(interface, DisplaySize128x32, rotation).map(|oled| Box::new(oled) as _)
    } else {
        Oled::start(interface, DisplaySize128x64, rotation).map(|oled| Box::new(oled) as _)
    };
    opened.map_err(|error| silent(error.to_string()))
}

struct Oled<DI, SIZE: DisplaySize> {
    driver: Ssd1306<DI, SIZE, BufferedGraphicsMode<SIZE>>,
    shown: Canvas<BinaryColor>,
}

impl<DI: WriteOnlyDataCommand, SIZE: DisplaySize> Oled<DI, SIZE> {
    /// Sets the controller up and clears the panel.
    fn start(interface: DI, size: SIZE, rotation: DisplayRotation) -> Result<Self> {
        let driver = Ssd1306::new(interface, size, rotation);
        let mut driver = driver.into_buffered_graphics_mode();
        driver
            .init()
            .and_then(|()| driver.set_brightness(Brightness::NORMAL))
            .and_then(|()| driver.flush())
            .map_err(|error| anyhow!("{error:?}"))?;
        Ok(Oled {
            shown: Canvas::new(driver.size(), BinaryColor::Off),
            driver,
        })
    }

    /// Gives the driver the pixels that have changed, which then sends the rectangle around them.
    fn update(&mut self, canvas: Canvas<BinaryColor>) -> Result<()> {
        let size = canvas.size();
        let (new, old) = (canvas.rows(0..size.height), self.shown.rows(0..size.height));
        let changed = new.iter().zip(old).enumerate();
        let changed = changed.filter(|(_, (new, old))| new != old);
        let pixels = changed.map(|(index, (&colour, _))| {
            let index = index as i32;
            let width = size.width as i32;
            Pixel(Point::new(index % width, index / width), colour)
        });
        self.driver
            .draw_iter(pixels)
            .and_then(|()| self.driver.flush())
            .map_err(|_| anyhow!("the panel does not answer any more; is it still plugged in?"))?;
        self.shown = canvas;
        Ok(())
    }
}

impl<DI: WriteOnlyDataCommand, SIZE: DisplaySize> Panel for Oled<DI, SIZE> {
    fn show(&mut self, scene: &Scene) -> Result<()> {
        let mut canvas = Canvas::new(self.shown.size(), BinaryColor::Off);
        let Ok(()) = layout::draw_mono(scene, &mut canvas);
        self.update(canvas)
    }

    /// Dark: what an OLED shows for long burns in.
    fn finish(&mut self) -> Result<()> {
        let off = self.driver.set_display_on(false);
        off.map_err(|_| anyhow!("the panel does not answer"))
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::convert::Infallible;
    use std::rc::Rc;

    use ::ssd1306::prelude::I2CInterface;
    use embedded_graphics::geometry::Size;
    use embedded_hal::i2c::{ErrorType, I2c, Operation};

    use super::*;
    use crate::service::display::scene::Condition;

    /// What is written, with the address.
    type Writes = Vec<(u8, Vec<u8>)>;

    /// Keeps what it is sent.
    #[derive(Clone, Default)]
    struct Bus(Rc<RefCell<Writes>>);

    impl ErrorType for Bus {
        type Error = Infallible;
    }

    impl I2c for Bus {
        fn transaction(&mut self, at: u8, operations: &mut [Operation]) -> Result<(), Infallible> {
            for operation in operations {
                if let Operation::Write(bytes) = operation {
                    self.0.borrow_mut().push((at, bytes.to_vec()));
                }
            }
            Ok(())
        }
    }

    impl Bus {
        /// The bytes of pixels since the last call.
        fn pixels(&self) -> Vec<u8> {
            let writes = self.0.take();
            assert!(writes.iter().all(|(at, _)| *at == 0x3d));
            let data = writes.iter().filter(|(_, bytes)| bytes[0] == 0x40);
            data.flat_map(|(_, bytes)| &bytes[1..]).copied().collect()
        }
    }

    fn oled() -> (Bus, Oled<I2CInterface<Bus>, DisplaySize128x64>) {
        let bus = Bus::default();
        let interface = I2CDisplayInterface::new_custom_address(bus.clone(), 0x3d);
        let oled = Oled::start(interface, DisplaySize128x64, DisplayRotation::Rotate0).unwrap();
        (bus, oled)
    }

    #[test]
    fn pixels_reach_the_bus_in_columns_of_eight() {
        let (bus, mut oled) = oled();
        assert_eq!(bus.pixels(), [0; 1024], "cleared at first");
        let mut canvas = Canvas::new(Size::new(128, 64), BinaryColor::Off);
        let on = [(10, 8), (10, 15), (12, 9)];
        let pixels = on.map(|(x, y)| Pixel(Point::new(x, y), BinaryColor::On));
        canvas.draw_iter(pixels).unwrap();
        oled.update(canvas.clone()).unwrap();
        assert_eq!(bus.pixels(), [0x81, 0x00, 0x02]);
        oled.update(canvas).unwrap();
        assert!(bus.pixels().is_empty(), "nothing has changed");
    }

    #[test]
    fn a_scene_is_sent_once_and_the_panel_goes_dark_at_the_end() {
        let (bus, mut oled) = oled();
        bus.pixels();
        let scene = Scene::bare(Condition::Starting);
        oled.show(&scene).unwrap();
        assert!(bus.pixels().iter().any(|&byte| byte != 0));
        oled.show(&scene).unwrap();
        assert!(bus.pixels().is_empty());
        oled.finish().unwrap();
        assert_eq!(bus.0.take(), [(0x3d, vec![0x00, 0xae])]);
    }
}
