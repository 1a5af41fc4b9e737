//! Requests to a Video4Linux2 driver, and the pictures in the memory that it shares: the only `unsafe` of the sources.

#![allow(unsafe_code)]

use std::ffi::c_void;
use std::fs::File;
use std::io;
use std::marker::PhantomData;
use std::ptr;
use std::slice;
use std::time::Instant;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::ioctl::{Ioctl, IoctlOutput, Opcode, ioctl, opcode};
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

use super::structures::{
    BUFFER_ERROR, Buffer, BuffersRequest, Capabilities, FormatEntry, FormatRequest, MAPPED,
    RateEntry, RateRequest, SizeEntry, VIDEO_CAPTURE,
};

pub const QUERY_CAPABILITIES: Request<Capabilities> = Request::read(0);
pub const LIST_FORMATS: Request<FormatEntry> = Request::read_write(2);
pub const SET_FORMAT: Request<FormatRequest> = Request::read_write(5);
const GET_BUFFERS: Request<BuffersRequest> = Request::read_write(8);
const QUERY_BUFFER: Request<Buffer> = Request::read_write(9);
const QUEUE_BUFFER: Request<Buffer> = Request::read_write(15);
const TAKE_BUFFER: Request<Buffer> = Request::read_write(17);
const START: Request<u32> = Request::write(18);
const STOP: Request<u32> = Request::write(19);
pub const SET_RATE: Request<RateRequest> = Request::read_write(22);
pub const LIST_SIZES: Request<SizeEntry> = Request::read_write(74);
pub const LIST_RATES: Request<RateEntry> = Request::read_write(75);

/// Pictures that the driver may fill while one is copied.
const BUFFERS: u32 = 4;

/// The group of all these requests.
const V: u8 = b'V';

/// An ioctl, and the structure that it reads and writes.
pub struct Request<T> {
    opcode: Opcode,
    structure: PhantomData<T>,
}

impl<T> Request<T> {
    const fn read(number: u8) -> Self {
        Self::of(opcode::read::<T>(V, number))
    }

    const fn write(number: u8) -> Self {
        Self::of(opcode::write::<T>(V, number))
    }

    const fn read_write(number: u8) -> Self {
        Self::of(opcode::read_write::<T>(V, number))
    }

    const fn of(opcode: Opcode) -> Self {
        Request {
            opcode,
            structure: PhantomData,
        }
    }

    /// Asks the driver of `device`.
    ///
    /// # Errors
    /// What the driver refuses with.
    pub fn make(&self, device: &File, structure: &mut T) -> io::Result<()> {
        let call = Call {
            opcode: self.opcode,
            structure,
        };
        // SAFETY: the opcode holds the size of `T`, so that a driver writes nothing beyond it; every `T` above is
        // integers alone, of which any value is valid, and none of them that is passed on is an address.
        unsafe { ioctl(device, call) }?;
        Ok(())
    }
}

struct Call<'a, T> {
    opcode: Opcode,
    structure: &'a mut T,
}

// SAFETY: the pointer is that of the structure which the opcode was made for; see `Request::make`.
unsafe impl<T> Ioctl for Call<'_, T> {
    type Output = ();
    const IS_MUTATING: bool = true;

    fn opcode(&self) -> Opcode {
        self.opcode
    }

    fn as_ptr(&mut self) -> *mut c_void {
        ptr::from_mut(self.structure).cast()
    }

    unsafe fn output_from_ptr(_: IoctlOutput, _: *mut c_void) -> rustix::io::Result<()> {
        Ok(())
    }
}

/// A device whose pictures come.
pub struct Stream {
    device: File,
    buffers: Vec<Mapping>,
}

impl Stream {
    /// Has the driver share its memory, and pictures come into it.
    ///
    /// # Errors
    /// When another program uses the device, it is gone, or has no memory.
    pub fn start(device: File) -> io::Result<Self> {
        let mut request = BuffersRequest {
            count: BUFFERS,
            buffer_type: VIDEO_CAPTURE,
            memory: MAPPED,
            ..BuffersRequest::default()
        };
        GET_BUFFERS.make(&device, &mut request)?;
        let mut stream = Stream {
            device,
            buffers: Vec::new(),
        };
        for index in 0..request.count {
            let mut buffer = Buffer::number(index);
            QUERY_BUFFER.make(&stream.device, &mut buffer)?;
            let mapping = Mapping::new(&stream.device, buffer.place.offset, buffer.length)?;
            stream.buffers.push(mapping);
            stream.queue(index)?;
        }
        START.make(&stream.device, &mut VIDEO_CAPTURE.clone())?;
        Ok(stream)
    }

    /// Waits for a picture until `deadline` at most, and hands its bytes to `take`; `None` for one that the driver
    /// marks as damaged.
    ///
    /// # Errors
    /// When the device is lost.
    pub fn next<T>(
        &mut self,
        deadline: Instant,
        take: impl FnOnce(Option<&[u8]>) -> T,
    ) -> io::Result<Option<T>> {
        let mut polled = [PollFd::new(&self.device, PollFlags::IN)];
        let left = deadline.saturating_duration_since(Instant::now());
        let left = Timespec::try_from(left).map_err(io::Error::other)?;
        match poll(&mut polled, Some(&left)) {
            Ok(0) | Err(Errno::INTR) => return Ok(None),
            other => other?,
        };
        let lost = polled[0]
            .revents()
            .intersects(PollFlags::ERR | PollFlags::HUP);
        let mut buffer = Buffer::number(0);
        match TAKE_BUFFER.make(&self.device, &mut buffer) {
            // Else the next poll would come back at once, for ever.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock && lost => {
                return Err(Errno::IO.into());
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
            other => other?,
        }
        let mapping = self.buffers.get(buffer.index as usize);
        let mapping = mapping.ok_or(Errno::IO)?;
        let bytes = mapping.bytes();
        let bytes = &bytes[..bytes.len().min(buffer.used_bytes as usize)];
        let whole = buffer.flags & BUFFER_ERROR == 0;
        let taken = take(whole.then_some(bytes));
        self.queue(buffer.index)?;
        Ok(Some(taken))
    }

    fn queue(&self, index: u32) -> io::Result<()> {
        QUEUE_BUFFER.make(&self.device, &mut Buffer::number(index))
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        // Closing stops as well; a device that is gone refuses.
        let _ = STOP.make(&self.device, &mut VIDEO_CAPTURE.clone());
    }
}

/// Memory of a driver, mapped for reading.
struct Mapping {
    start: *mut c_void,
    length: usize,
}

// SAFETY: a mapping belongs to the process, not to a thread.
unsafe impl Send for Mapping {}

impl Mapping {
    /// Maps `length` bytes, which the driver knows by `offset`.
    fn new(device: &File, offset: u32, length: u32) -> io::Result<Self> {
        let length = length as usize;
        let (protection, flags) = (ProtFlags::READ, MapFlags::SHARED);
        // SAFETY: a new mapping, where the system has room, replaces none.
        let start = unsafe {
            mmap(
                ptr::null_mut(),
                length,
                protection,
                flags,
                device,
                u64::from(offset),
            )
        }?;
        Ok(Mapping { start, length })
    }

    /// The driver writes only to buffers that are queued: to be called, and the bytes to be used, only between
    /// taking a buffer and queueing it.
    fn bytes(&self) -> &[u8] {
        // SAFETY: mapped for so many bytes until `drop`, zeroed by the kernel; for writes see above.
        unsafe { slice::from_raw_parts(self.start.cast(), self.length) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: mapped by `new` with this length, and no slice outlives `self`.
        let _ = unsafe { munmap(self.start, self.length) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The kernel knows a request by a number that contains the size of its structure.
    #[test]
    fn requests_have_the_numbers_of_the_kernel() {
        let wide = cfg!(target_pointer_width = "64");
        let by_width = |on_64, on_32| if wide { on_64 } else { on_32 };
        for (opcode, number) in [
            (QUERY_CAPABILITIES.opcode, 0x8068_5600_u32),
            (LIST_FORMATS.opcode, 0xc040_5602),
            (SET_FORMAT.opcode, by_width(0xc0d0_5605, 0xc0cc_5605)),
            (GET_BUFFERS.opcode, 0xc014_5608),
            (QUERY_BUFFER.opcode, by_width(0xc058_5609, 0xc044_5609)),
            (QUEUE_BUFFER.opcode, by_width(0xc058_560f, 0xc044_560f)),
            (TAKE_BUFFER.opcode, by_width(0xc058_5611, 0xc044_5611)),
            (START.opcode, 0x4004_5612),
            (STOP.opcode, 0x4004_5613),
            (SET_RATE.opcode, 0xc0cc_5616),
            (LIST_SIZES.opcode, 0xc02c_564a),
            (LIST_RATES.opcode, 0xc034_564b),
        ] {
            assert_eq!(opcode, Opcode::from(number), "{number:#x}");
        }
    }
}
