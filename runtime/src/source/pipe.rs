//! Frames that come through a pipe.

use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::os::fd::AsFd;
use std::time::Instant;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::pictures::{Part, PictureStream, PictureStreamError};
use super::{Next, Source, SourceError, SourceOptions};
use crate::frame::Frame;

/// Bytes that are read at a time: what a pipe holds.
const PIECE: usize = 64 << 10;

/// The reading end of a pipe, and what is made of its bytes. Its end is that of the writer.
pub(super) struct Pipe<R> {
    name: String,
    from: R,
    pictures: PictureStream,
    piece: Vec<u8>,
    ended: bool,
}

impl<R: Read + AsFd> Pipe<R> {
    pub fn new(from: R, options: &SourceOptions) -> Result<Self, SourceError> {
        Ok(Pipe {
            name: options.kind.to_string(),
            from,
            pictures: options.picture_stream()?,
            piece: vec![0; PIECE],
            ended: false,
        })
    }

    /// As [`Source::next`].
    pub fn next(&mut self, deadline: Instant) -> Result<Next, SourceError> {
        loop {
            let part = self.pictures.next_part();
            if let Some(part) = part.map_err(|error| self.failed(&error))? {
                return Ok(part.into());
            }
            if self.ended {
                return Ok(Next::End);
            }
            if !self.read(deadline)? {
                return Ok(Next::Pending);
            }
            if self.ended && self.pictures.is_within_picture() == Ok(true) {
                return Ok(Next::Broken);
            }
            // There may be no end of bytes that are no picture.
            if Instant::now() >= deadline {
                return Ok(Next::Pending);
            }
        }
    }

    /// Reads what is there, waited for until `deadline` at most; whether there was anything, or the end.
    fn read(&mut self, deadline: Instant) -> Result<bool, SourceError> {
        let failed = SourceError::system(&self.name);
        if !readable(&self.from, deadline).map_err(&failed)? {
            return Ok(false);
        }
        match self.from.read(&mut self.piece) {
            Ok(0) => self.ended = true,
            Ok(length) => self.pictures.push(&self.piece[..length]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            // Of a pipe that somebody else reads too.
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
            Err(error) => return Err(failed(error)),
        }
        Ok(true)
    }

    fn failed(&self, error: &PictureStreamError) -> SourceError {
        SourceError::Content {
            name: self.name.clone(),
            problem: error.to_string(),
        }
    }
}

impl From<Part> for Next {
    /// A picture becomes a frame of this moment.
    fn from(part: Part) -> Self {
        match part {
            Part::Picture(picture) => Next::Frame(Frame {
                captured: Instant::now(),
                name: None,
                picture,
            }),
            Part::Broken => Next::Broken,
        }
    }
}

/// Waits until there is something to read, until `deadline` at most.
fn readable(from: &impl AsFd, deadline: Instant) -> io::Result<bool> {
    let left = deadline.saturating_duration_since(Instant::now());
    let left = Timespec::try_from(left).ok();
    let mut polled = [PollFd::new(from, PollFlags::IN)];
    match poll(&mut polled, left.as_ref()) {
        Ok(count) => Ok(count > 0),
        Err(rustix::io::Errno::INTR) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Standard input. `Stdin` buffers, so that polling would miss what it holds.
pub(super) struct StandardInput(Pipe<File>);

impl StandardInput {
    pub fn open(options: &SourceOptions) -> Result<Self, SourceError> {
        let input = io::stdin().as_fd().try_clone_to_owned();
        let input = input.map_err(SourceError::system(&options.kind.to_string()))?;
        Ok(StandardInput(Pipe::new(File::from(input), options)?))
    }
}

impl Source for StandardInput {
    fn next(&mut self, deadline: Instant) -> Result<Next, SourceError> {
        match self.0.next(deadline)? {
            Next::End => match self.0.pictures.is_within_picture() {
                Ok(_) => Ok(Next::End),
                Err(error) => Err(self.0.failed(&error)),
            },
            next => Ok(next),
        }
    }
}
