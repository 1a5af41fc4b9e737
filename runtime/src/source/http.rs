//! Frames of a network camera that sends pictures over HTTP, one after the other.

use std::fmt::Display;
use std::pin::Pin;
use std::time::Instant;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http_body_util::{BodyExt, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST};
use hyper::{Request, Response, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use percent_encoding::percent_decode_str;
use tokio::runtime::{self, Runtime};
use tokio::time::timeout_at;

use super::pictures::PictureStream;
use super::{Next, Source, SourceError, SourceOptions, transport};

/// A camera that is being asked, or has answered.
pub(super) struct Http {
    name: String,
    /// `None` only while it is dropped.
    runtime: Option<Runtime>,
    state: State,
}

type Problem = String;
type Asking = Pin<Box<dyn Future<Output = Result<Answer, Problem>> + Send>>;

enum State {
    Asking(Asking),
    Answered(Answer),
}

struct Answer {
    pictures: PictureStream,
    body: Incoming,
    /// The connection lives as long as this.
    _connection: SendRequest<Empty<Bytes>>,
}

impl Http {
    /// Waits for nothing: time passes in [`Source::next`].
    pub fn open(address: &Uri, options: &SourceOptions) -> Result<Self, SourceError> {
        let name = options.kind.to_string();
        let runtime = runtime::Builder::new_current_thread().enable_all().build();
        Ok(Http {
            runtime: Some(runtime.map_err(SourceError::system(&name))?),
            name,
            state: State::Asking(Box::pin(ask(address.clone()))),
        })
    }

    fn failed(&self, problem: impl Display) -> SourceError {
        SourceError::Content {
            name: self.name.clone(),
            problem: problem.to_string(),
        }
    }
}

impl Source for Http {
    fn next(&mut self, deadline: Instant) -> Result<Next, SourceError> {
        loop {
            if let State::Answered(answer) = &mut self.state {
                let part = answer.pictures.next_part();
                if let Some(part) = part.map_err(|error| self.failed(error))? {
                    return Ok(part.into());
                }
            }
            let Some(runtime) = &self.runtime else {
                return Ok(Next::End);
            };
            let step = self.state.step();
            let step = runtime.block_on(async { timeout_at(deadline.into(), step).await });
            match step {
                Err(_) => return Ok(Next::Pending),
                Ok(Ok(Some(state))) => self.state = state,
                Ok(Ok(None)) => {}
                Ok(Err(problem)) => return Err(self.failed(problem)),
            }
            // There may be no end of bytes that are no picture.
            if Instant::now() >= deadline {
                return Ok(Next::Pending);
            }
        }
    }
}

impl Drop for Http {
    /// Does not wait for the look-up of a name.
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl State {
    /// Waits for the answer, or for a piece of its body. What the camera is in then, if that changes.
    async fn step(&mut self) -> Result<Option<State>, Problem> {
        match self {
            State::Asking(asking) => Ok(Some(State::Answered(asking.await?))),
            State::Answered(answer) => match answer.body.frame().await {
                Some(Ok(frame)) => {
                    if let Some(bytes) = frame.data_ref() {
                        answer.pictures.push(bytes);
                    }
                    Ok(None)
                }
                Some(Err(error)) => Err(error.to_string()),
                None => Err("it ended its answer".into()),
            },
        }
    }
}

/// Connects, asks, and looks at what kind of answer comes.
async fn ask(address: Uri) -> Result<Answer, Problem> {
    let stream = transport::connect(&address).await?;
    let handshake = http1::handshake(TokioIo::new(stream)).await;
    let (mut sender, connection) = handshake.map_err(|error| error.to_string())?;
    tokio::spawn(connection);
    let request = request(&address)?;
    let response = sender.send_request(request).await;
    let response = response.map_err(|error| error.to_string())?;
    let pictures = pictures(&response)?;
    Ok(Answer {
        pictures,
        body: response.into_body(),
        _connection: sender,
    })
}

fn request(address: &Uri) -> Result<Request<Empty<Bytes>>, Problem> {
    let target = address
        .path_and_query()
        .map_or("/", |target| target.as_str());
    let authority = address
        .authority()
        .map_or("", |authority| authority.as_str());
    let (credentials, place) = authority.rsplit_once('@').unwrap_or(("", authority));
    let mut request = Request::get(target)
        .header(HOST, place)
        .header(ACCEPT, "multipart/x-mixed-replace, image/jpeg, */*");
    if !credentials.is_empty() {
        let decoded: Vec<u8> = percent_decode_str(credentials).collect();
        let basic = format!("Basic {}", BASE64_STANDARD.encode(decoded));
        request = request.header(AUTHORIZATION, basic);
    }
    request
        .body(Empty::new())
        .map_err(|_| "its address is none that can be asked for".into())
}

/// How the body of `response` is cut into pictures.
fn pictures(response: &Response<Incoming>) -> Result<PictureStream, Problem> {
    let status = response.status();
    if status == StatusCode::UNAUTHORIZED {
        return Err("it wants a name and a password, http://NAME:PASSWORD@...".into());
    }
    if status != StatusCode::OK {
        return Err(format!("it answers {status}"));
    }
    let content_type = response.headers().get(CONTENT_TYPE);
    let content_type = content_type.map_or("", |value| value.to_str().unwrap_or_default());
    picture_stream(content_type)
        .ok_or_else(|| format!("it answers with {content_type}, not with pictures"))
}

/// `None` for what can't be pictures.
fn picture_stream(content_type: &str) -> Option<PictureStream> {
    let lower = content_type.to_ascii_lowercase();
    if lower.starts_with("text/") {
        return None;
    }
    let boundary = lower
        .starts_with("multipart/")
        .then(|| {
            let at = lower.find("boundary=")? + "boundary=".len();
            let value = content_type[at..].split(';').next()?;
            PictureStream::multipart(value.trim())
        })
        .flatten();
    Some(boundary.unwrap_or_else(PictureStream::recognised))
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};
    use std::sync::mpsc::channel;
    use std::thread::{self, JoinHandle};
    use std::time::Duration;

    use image::codecs::jpeg::JpegEncoder;
    use image::{Rgb, RgbImage};

    use super::*;
    use crate::source::SourceKind;

    const PATIENCE: Duration = Duration::from_secs(20);

    fn file() -> Vec<u8> {
        let mut bytes = Vec::new();
        let picture = RgbImage::from_pixel(32, 16, Rgb([200, 100, 50]));
        JpegEncoder::new(&mut bytes).encode_image(&picture).unwrap();
        bytes
    }

    /// A camera that gives one answer and then does what `after` says; what it was asked comes from the thread.
    fn camera(
        answer: Vec<u8>,
        after: impl FnOnce(TcpStream) + Send + 'static,
    ) -> (u16, JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let thread = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut asked = Vec::new();
            while !asked.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                stream.read_exact(&mut byte).unwrap();
                asked.extend(byte);
            }
            stream.write_all(&answer).unwrap();
            after(stream);
            String::from_utf8(asked).unwrap()
        });
        (port, thread)
    }

    fn open(address: &str) -> Http {
        let kind: SourceKind = address.parse().unwrap();
        let SourceKind::Http(uri) = &kind else {
            panic!("{kind}");
        };
        let options = SourceOptions {
            kind: kind.clone(),
            rate: None,
            size: None,
            raw: None,
            repeat: false,
        };
        Http::open(uri, &options).unwrap()
    }

    fn next(source: &mut Http) -> Result<Next, SourceError> {
        source.next(Instant::now() + PATIENCE)
    }

    fn width(next: Result<Next, SourceError>) -> u32 {
        match next {
            Ok(Next::Frame(frame)) => frame.picture.decode().unwrap().width(),
            other => panic!("{other:?}"),
        }
    }

    fn hang_up(_: TcpStream) {}

    #[test]
    fn parts_of_a_chunked_answer_become_frames() {
        let part = [
            &b"--x\r\nContent-Type: image/jpeg\r\n\r\n"[..],
            &file(),
            b"\r\n",
        ]
        .concat();
        let body = [part.as_slice(), &part, b"--x"].concat();
        let mut answer =
            b"HTTP/1.1 200 OK\r\nContent-Type: multipart/x-mixed-replace; boundary=\"x\"\r\n\
            Transfer-Encoding: chunked\r\n\r\n"
                .to_vec();
        for chunk in body.chunks(100) {
            answer.extend(format!("{:x}\r\n", chunk.len()).bytes());
            answer.extend([chunk, b"\r\n"].concat());
        }
        let (port, asked) = camera(answer, hang_up);
        let mut source = open(&format!("http://me:p%40ss@127.0.0.1:{port}/a/b?c=d"));
        assert_eq!(width(next(&mut source)), 32);
        assert_eq!(width(next(&mut source)), 32);
        let error = next(&mut source).unwrap_err().to_string();
        assert!(
            error.starts_with(&format!("http://127.0.0.1:{port}/a/b: ")),
            "{error}"
        );
        let asked = asked.join().unwrap().to_ascii_lowercase();
        assert!(asked.starts_with("get /a/b?c=d http/1.1\r\n"), "{asked}");
        assert!(
            asked.contains(&format!("\r\nhost: 127.0.0.1:{port}\r\n")),
            "{asked}"
        );
        // me:p@ss
        assert!(
            asked.contains("authorization: basic bwu6cebzcw==\r\n"),
            "{asked}"
        );
    }

    #[test]
    fn bare_pictures_become_frames_until_the_camera_hangs_up() {
        let answer = [&b"HTTP/1.0 200 OK\r\n\r\n"[..], &file(), &file()].concat();
        let (port, _) = camera(answer, hang_up);
        let mut source = open(&format!("http://127.0.0.1:{port}"));
        assert_eq!(width(next(&mut source)), 32);
        assert_eq!(width(next(&mut source)), 32);
        let error = next(&mut source).unwrap_err().to_string();
        assert!(error.ends_with(": it ended its answer"), "{error}");
    }

    #[test]
    fn a_silent_camera_keeps_nobody_waiting() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let mut source = open(&format!("http://127.0.0.1:{port}/"));
        for _ in 0..2 {
            let before = Instant::now();
            let deadline = before + Duration::from_millis(50);
            assert!(matches!(source.next(deadline), Ok(Next::Pending)));
            assert!(before.elapsed() < PATIENCE);
        }
        let head = b"HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\n\r\n\xff\xd8\xff".to_vec();
        let (hold, held) = channel();
        let (port, _) = camera(head, move |stream| hold.send(stream).unwrap());
        let mut source = open(&format!("http://127.0.0.1:{port}/"));
        // Until it has answered, and for a while beyond.
        let mut silent = None;
        while silent.is_none() {
            let deadline = Instant::now() + Duration::from_millis(20);
            assert!(matches!(source.next(deadline), Ok(Next::Pending)));
            silent = held.try_recv().ok();
        }
        let deadline = Instant::now() + Duration::from_millis(50);
        assert!(matches!(source.next(deadline), Ok(Next::Pending)));
    }

    #[test]
    fn an_answer_without_pictures_is_told_in_its_own_words() {
        for (head, told) in [
            ("HTTP/1.1 404 Not Found\r\n\r\n", "it answers 404 Not Found"),
            (
                "HTTP/1.1 401 Unauthorized\r\n\r\n",
                "it wants a name and a password, http://NAME:PASSWORD@...",
            ),
            (
                "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n",
                "it answers with text/html, not with pictures",
            ),
        ] {
            let (port, _) = camera(head.into(), hang_up);
            let mut source = open(&format!("http://me:secret@127.0.0.1:{port}/"));
            let error = next(&mut source).unwrap_err().to_string();
            assert_eq!(error, format!("http://127.0.0.1:{port}/: {told}"));
        }
    }
}
