//! Panels of colour with an ST7789 or an ILI9341 on an SPI bus.

use std::fmt::Debug;

use anyhow::{Result, anyhow};
use embedded_graphics::geometry::{OriginDimensions, Size};
use embedded_graphics::pixelcolor::{Rgb565, RgbColor};
use embedded_hal::digital::OutputPin;
use linux_embedded_hal::gpio_cdev::{Chip, LineRequestFlags};
use linux_embedded_hal::spidev::{SpiModeFlags, SpidevOptions};
use linux_embedded_hal::{CdevPin, Delay, SpidevDevice};
use mipidsi::interface::{Interface, SpiInterface};
use mipidsi::models::{ILI9341Rgb565, Model, ST7789};
use mipidsi::options::{ColorInversion, ColorOrder, Orientation, Rotation};
use mipidsi::{Builder, Display};

use super::{Panel, Unusable, check_device};
use crate::service::display::address::{SpiAddress, SpiController};
use crate::service::display::canvas::Canvas;
use crate::service::display::layout;
use crate::service::display::scene::{Condition, Scene};

/// Both controllers take it over short wires: 25 pictures of 320 x 240 a second.
const HERTZ: u32 = 32_000_000;
/// The most that the kernel takes in a transfer, unless told otherwise (spidev.bufsiz).
const TRANSFER: usize = 4096;
const ABSENT: &str = "switch SPI on: dtparam=spi=on in /boot/firmware/config.txt, then restart";
const NO_CHIP: &str = "gpiodetect shows the chips there are; name one by chip=/dev/gpiochipN";

/// Opens the panel at `address`.
///
/// # Errors
/// When the bus or a GPIO can't be used. Whether a panel is there can't be told.
pub fn open<'a>(
    address: &SpiAddress,
    buffer: &'a mut Vec<u8>,
) -> Result<Box<dyn Panel + 'a>, Unusable> {
    check_device(&address.device, ABSENT, "spi")?;
    check_device(&address.chip, NO_CHIP, "gpio")?;
    let bus = bus(address).map_err(|error| {
        Unusable::Misconfigured(anyhow!("{}: {error}", address.device.display()))
    })?;
    let line = |gpio, level| {
        line(address, gpio, level).map_err(|error| {
            let chip = address.chip.display();
            Unusable::Misconfigured(anyhow!(
                "{chip}: GPIO {gpio}: {error}; gpioinfo shows what uses it"
            ))
        })
    };
    let backlight = address.backlight.map(|gpio| line(gpio, 1)).transpose()?;
    let (data_command, reset) = (line(address.data_command, 0)?, line(address.reset, 1)?);
    buffer.resize(TRANSFER, 0);
    let interface = SpiInterface::new(bus, data_command, buffer);
    let started: Result<Box<dyn Panel>> = match address.controller {
        SpiController::St7789 => {
            let display = st7789(interface, address).reset_pin(reset).init(&mut Delay);
            display
                .map(|display| Box::new(Screen::new(display, backlight)) as _)
                .map_err(|error| anyhow!("{error:?}"))
        }
        SpiController::Ili9341 => {
            let display = ili9341(interface, address)
                .reset_pin(reset)
                .init(&mut Delay);
            display
                .map(|display| Box::new(Screen::new(display, backlight)) as _)
                .map_err(|error| anyhow!("{error:?}"))
        }
    };
    started.map_err(|error| Unusable::Away(error.context(address.device.display().to_string())))
}

fn bus(address: &SpiAddress) -> Result<SpidevDevice> {
    let mut bus = SpidevDevice::open(&address.device)?;
    let options = SpidevOptions::new()
        .bits_per_word(8)
        .max_speed_hz(HERTZ)
        .mode(SpiModeFlags::SPI_MODE_0)
        .build();
    bus.0.configure(&options)?;
    Ok(bus)
}

fn line(address: &SpiAddress, gpio: u32, level: u8) -> Result<CdevPin> {
    let line = Chip::new(&address.chip)?.get_line(gpio)?;
    let handle = line.request(LineRequestFlags::OUTPUT, level, "graphtag")?;
    Ok(CdevPin::new(handle)?)
}

/// Most panels with an ST7789 are of the kind that shows colours inverted.
fn st7789<DI: Interface<Word = u8>>(
    interface: DI,
    address: &SpiAddress,
) -> Builder<DI, ST7789, mipidsi::NoResetPin> {
    let (x, y) = offset(address.size);
    Builder::new(ST7789, interface)
        .invert_colors(ColorInversion::Inverted)
        .orientation(Orientation::new().rotate(rotation(address.rotate)))
        .display_size(address.size.width as u16, address.size.height as u16)
        .display_offset(x, y)
}

/// Panels with an ILI9341 are wired from right to left, blue first.
fn ili9341<DI: Interface<Word = u8>>(
    interface: DI,
    address: &SpiAddress,
) -> Builder<DI, ILI9341Rgb565, mipidsi::NoResetPin> {
    let (x, y) = offset(address.size);
    let upright = Orientation::new().flip_horizontal();
    Builder::new(ILI9341Rgb565, interface)
        .color_order(ColorOrder::Bgr)
        .orientation(upright.rotate(rotation(address.rotate)))
        .display_size(address.size.width as u16, address.size.height as u16)
        .display_offset(x, y)
}

/// Where a panel of `size` lies in the controller's memory of 240 x 320: square ones at the top, others in the middle.
fn offset(size: Size) -> (u16, u16) {
    if size == Size::new(240, 240) {
        return (0, 0);
    }
    let middle = |side: u32, whole: u32| (whole.saturating_sub(side) / 2) as u16;
    (middle(size.width, 240), middle(size.height, 320))
}

fn rotation(degrees: u32) -> Rotation {
    Rotation::try_from_degree(degrees as i32).unwrap_or(Rotation::Deg0)
}

struct Screen<DI: Interface<Word = u8>, M: Model<ColorFormat = Rgb565>, R: OutputPin> {
    display: Display<DI, M, R>,
    /// Lit for as long as it is held.
    _backlight: Option<CdevPin>,
    shown: Option<Canvas<Rgb565>>,
}

impl<DI, M, R> Screen<DI, M, R>
where
    DI: Interface<Word = u8>,
    DI::Error: Debug,
    M: Model<ColorFormat = Rgb565>,
    R: OutputPin,
{
    fn new(display: Display<DI, M, R>, backlight: Option<CdevPin>) -> Self {
        Screen {
            display,
            _backlight: backlight,
            shown: None,
        }
    }

    fn send(&mut self, canvas: Canvas<Rgb565>) -> Result<()> {
        let last_column = canvas.size().width as u16 - 1;
        for rows in canvas.changed_rows(self.shown.as_ref()) {
            let (first, last) = (rows.start as u16, rows.end as u16 - 1);
            let pixels = canvas.rows(rows).iter().copied();
            self.display
                .set_pixels(0, first, last_column, last, pixels)
                .map_err(|error| anyhow!("{error:?}"))?;
        }
        self.shown = Some(canvas);
        Ok(())
    }
}

impl<DI, M, R> Panel for Screen<DI, M, R>
where
    DI: Interface<Word = u8>,
    DI::Error: Debug,
    M: Model<ColorFormat = Rgb565>,
    R: OutputPin,
{
    fn show(&mut self, scene: &Scene) -> Result<()> {
        let mut canvas = Canvas::new(self.display.size(), Rgb565::BLACK);
        let Ok(()) = layout::draw_colour(scene, &mut canvas);
        self.send(canvas)
    }

    fn finish(&mut self) -> Result<()> {
        self.show(&Scene::bare(Condition::Stopped))
    }
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};
    use std::convert::Infallible;
    use std::rc::Rc;

    use embedded_graphics::Pixel;
    use embedded_graphics::draw_target::DrawTarget;
    use embedded_graphics::geometry::Point;
    use embedded_hal::digital;
    use embedded_hal::spi::{self, Operation, SpiDevice};

    use super::*;

    /// The data/command line.
    #[derive(Clone, Default)]
    struct Line(Rc<Cell<bool>>);

    impl digital::ErrorType for Line {
        type Error = Infallible;
    }

    impl OutputPin for Line {
        fn set_low(&mut self) -> Result<(), Infallible> {
            self.0.set(false);
            Ok(())
        }

        fn set_high(&mut self) -> Result<(), Infallible> {
            self.0.set(true);
            Ok(())
        }
    }

    /// Commands, each with the bytes after it.
    type Commands = Vec<(u8, Vec<u8>)>;

    /// Keeps what it is sent.
    #[derive(Clone, Default)]
    struct Bus {
        data: Line,
        commands: Rc<RefCell<Commands>>,
    }

    impl spi::ErrorType for Bus {
        type Error = Infallible;
    }

    impl SpiDevice for Bus {
        fn transaction(&mut self, operations: &mut [Operation<u8>]) -> Result<(), Infallible> {
            for operation in operations {
                let Operation::Write(bytes) = operation else {
                    continue;
                };
                let mut commands = self.commands.borrow_mut();
                if !self.data.0.get() {
                    commands.push((bytes[0], Vec::new()));
                } else if let Some((_, data)) = commands.last_mut() {
                    data.extend_from_slice(bytes);
                }
            }
            Ok(())
        }
    }

    /// Time that does not pass.
    struct NoDelay;

    impl embedded_hal::delay::DelayNs for NoDelay {
        fn delay_ns(&mut self, _: u32) {}
    }

    fn address(options: &str) -> SpiAddress {
        use crate::service::display::address::DisplayAddress;
        match options.parse() {
            Ok(DisplayAddress::Spi(address)) => address,
            other => panic!("{other:?}"),
        }
    }

    /// What the commands `code` were given.
    fn given(bus: &Bus, code: u8) -> Vec<Vec<u8>> {
        let commands = bus.commands.borrow();
        let given = commands.iter().filter(|(command, _)| *command == code);
        given.map(|(_, data)| data.clone()).collect()
    }

    #[test]
    fn pixels_reach_an_st7789_row_by_row_and_only_where_they_change() {
        let (bus, mut buffer) = (Bus::default(), vec![0; 64]);
        let interface = SpiInterface::new(bus.clone(), bus.data.clone(), &mut buffer);
        let builder = st7789(interface, &address("st7789:spi,1,2"));
        let display = builder.reset_pin(Line::default()).init(&mut NoDelay);
        let mut screen = Screen::new(display.unwrap(), None);
        assert_eq!(given(&bus, 0x21).len(), 1, "colours inverted");
        assert_eq!(given(&bus, 0x3a), [[0x55]], "16 bits a pixel");

        let mut canvas = Canvas::new(Size::new(240, 240), Rgb565::BLACK);
        screen.send(canvas.clone()).unwrap();
        assert_eq!(given(&bus, 0x2c), [vec![0; 240 * 240 * 2]]);
        bus.commands.take();

        let orange = Pixel(Point::new(2, 7), Rgb565::new(31, 32, 1));
        canvas.draw_iter([orange]).unwrap();
        screen.send(canvas.clone()).unwrap();
        assert_eq!(given(&bus, 0x2a), [[0, 0, 0, 239]], "columns");
        assert_eq!(given(&bus, 0x2b), [[0, 7, 0, 7]], "rows");
        let mut row = vec![0; 480];
        row[4..6].copy_from_slice(&[0xfc, 0x01]);
        assert_eq!(given(&bus, 0x2c), [row]);
        bus.commands.take();

        screen.send(canvas).unwrap();
        assert_eq!(given(&bus, 0x2c).len(), 0, "nothing has changed");
    }

    #[test]
    fn a_panel_smaller_than_the_controller_s_memory_is_found_in_it_however_it_lies() {
        for (options, columns, rows) in [
            ("240x240", [0, 0, 0, 239], [0, 0, 0, 239]),
            ("240x240,rotate=180", [0, 0, 0, 239], [0, 80, 1, 63]),
            ("135x240", [0, 52, 0, 186], [0, 40, 1, 23]),
            ("135x240,rotate=90", [0, 40, 1, 23], [0, 53, 0, 187]),
            ("240x280", [0, 0, 0, 239], [0, 20, 1, 43]),
        ] {
            let (bus, mut buffer) = (Bus::default(), vec![0; 64]);
            let interface = SpiInterface::new(bus.clone(), bus.data.clone(), &mut buffer);
            let builder = st7789(interface, &address(&format!("st7789:spi,1,2,{options}")));
            let display = builder.reset_pin(Line::default()).init(&mut NoDelay);
            let mut screen = Screen::new(display.unwrap(), None);
            screen.show(&Scene::bare(Condition::Starting)).unwrap();
            assert_eq!(given(&bus, 0x2a), [columns], "{options}");
            assert_eq!(given(&bus, 0x2b), [rows], "{options}");
        }
    }

    /// The values that Adafruit's driver uses: MX, MV, MY and all three, each with BGR.
    #[test]
    fn an_ili9341_is_not_mirrored_however_it_lies() {
        for (rotate, mode) in [(0, 0x48), (90, 0x28), (180, 0x88), (270, 0xe8)] {
            let (bus, mut buffer) = (Bus::default(), vec![0; 64]);
            let interface = SpiInterface::new(bus.clone(), bus.data.clone(), &mut buffer);
            let builder = ili9341(
                interface,
                &address(&format!("ili9341:spi,1,2,rotate={rotate}")),
            );
            let display = builder.reset_pin(Line::default()).init(&mut NoDelay);
            let screen = Screen::new(display.unwrap(), None);
            assert_eq!(given(&bus, 0x36), [[mode]]);
            let wide = screen.display.size().width == 320;
            assert_eq!(wide, rotate % 180 == 90);
        }
    }
}
