//! A client of Oblivious HTTP made of crates that are not ours, against a running `tacit serve --ohttp`.
//! Environment: TACIT_URL (http://HOST:PORT), TACIT_KEY, TACIT_MODEL. Prints a line per conversation.

use std::{
    env,
    io::{BufRead, BufReader, Cursor, Read, Write},
    net::TcpStream,
};

use bhttp::{Message, Mode};
use futures::{executor::block_on, io::AllowStdIo, AsyncReadExt, AsyncWriteExt};
use ohttp::{hpke::Kem, ClientRequest, KeyConfig};

type Res<T> = Result<T, Box<dyn std::error::Error>>;

const GATEWAY: &str = "/.well-known/ohttp-gateway";

/// The body of an HTTP/1.1 response, as it comes.
struct Body {
    stream: BufReader<TcpStream>,
    chunked: bool,
    left: usize, // of the chunk, or of the body
    done: bool,
}

impl Read for Body {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        if self.chunked && self.left == 0 && !self.done {
            let mut line = String::new();
            self.stream.read_line(&mut line)?;
            if line.trim().is_empty() {
                line.clear();
                self.stream.read_line(&mut line)?; // the end of the chunk before
            }
            self.left = usize::from_str_radix(line.trim(), 16).map_err(std::io::Error::other)?;
            self.done = self.left == 0;
        }
        let n = into.len().min(self.left);
        let n = self.stream.read(&mut into[..n])?;
        self.left -= n;
        Ok(n)
    }
}

struct Response {
    status: u16,
    content_type: String,
    body: Body,
}

fn http(method: &str, path: &str, content_type: &str, body: &[u8]) -> Res<Response> {
    let url = env::var("TACIT_URL")?;
    let authority = url.strip_prefix("http://").ok_or("TACIT_URL is not http://")?;
    let mut stream = TcpStream::connect(authority)?;
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: {authority}\r\nContent-Type: {content_type}\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    )?;
    stream.write_all(body)?;
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    stream.read_line(&mut line)?;
    let status = line.split(' ').nth(1).ok_or("no status")?.parse()?;
    let (mut chunked, mut left, mut answer_type) = (false, 0, String::new());
    loop {
        line.clear();
        stream.read_line(&mut line)?;
        let Some((name, value)) = line.trim().split_once(':') else { break };
        match name.to_ascii_lowercase().as_str() {
            "transfer-encoding" => chunked = value.trim() == "chunked",
            "content-length" => left = value.trim().parse()?,
            "content-type" => answer_type = value.trim().to_string(),
            _ => {}
        }
    }
    let body = Body { stream, chunked, left, done: false };
    Ok(Response { status, content_type: answer_type, body })
}

fn configuration(kem: Kem) -> Res<KeyConfig> {
    let mut response = http("GET", GATEWAY, "text/plain", b"")?;
    assert_eq!((response.status, response.content_type.as_str()), (200, "application/ohttp-keys"));
    let mut encoded = Vec::new();
    response.body.read_to_end(&mut encoded)?;
    // Each configuration follows its length; `decode_list` does not tell their KEMs.
    let mut rest = encoded.as_slice();
    while rest.len() > 2 {
        let (one, after) = rest[2..].split_at(usize::from(u16::from_be_bytes([rest[0], rest[1]])));
        if u16::from_be_bytes([one[1], one[2]]) == u16::from(kem) {
            return Ok(KeyConfig::decode(one)?);
        }
        rest = after;
    }
    Err("the server does not offer this KEM".into())
}

fn question(mode: Mode, stream: bool) -> Res<Vec<u8>> {
    let mut message =
        Message::request(b"POST".into(), b"https".into(), b"ai.example".into(), b"/v1/chat/completions".into());
    message.put_header("content-type", "application/json");
    message.put_header("authorization", format!("Bearer {}", env::var("TACIT_KEY")?));
    message.write_content(format!(
        r#"{{"model":"{}","max_tokens":12,"stream":{stream},"messages":[{{"role":"user","content":"Name three colours."}}]}}"#,
        env::var("TACIT_MODEL")?
    ));
    let mut encoded = Vec::new();
    message.write_bhttp(mode, &mut encoded)?;
    Ok(encoded)
}

fn check(name: &str, answer: &[u8], stream: bool) -> Res<()> {
    let message = Message::read_bhttp(&mut Cursor::new(answer))?;
    let status = message.control().status().ok_or("no status")?.code();
    let content = String::from_utf8(message.content().to_vec())?;
    assert_eq!(status, 200, "{content}");
    let wanted = if stream { "data: [DONE]" } else { "\"chat.completion\"" };
    assert!(content.contains(wanted), "{content}");
    println!("ok {name}: {} bytes", content.len());
    Ok(())
}

fn plain(kem: Kem, mode: Mode) -> Res<()> {
    let request = ClientRequest::from_config(&mut configuration(kem)?)?;
    let (sealed, opener) = request.encapsulate(&question(mode, false)?)?;
    let mut response = http("POST", GATEWAY, "message/ohttp-req", &sealed)?;
    assert_eq!((response.status, response.content_type.as_str()), (200, "message/ohttp-res"));
    let mut answer = Vec::new();
    response.body.read_to_end(&mut answer)?;
    check(&format!("plain {kem:?} {mode:?}"), &opener.decapsulate(&answer)?, false)
}

fn chunked(kem: Kem, mode: Mode) -> Res<()> {
    let mut sealed = Vec::new();
    let mut request =
        ClientRequest::from_config(&mut configuration(kem)?)?.encapsulate_stream(AllowStdIo::new(&mut sealed))?;
    let message = question(mode, true)?;
    block_on(async {
        for piece in message.chunks(100) {
            request.write_all(piece).await?;
        }
        request.close().await
    })?;
    // The request holds what the answer is keyed with, and lends `sealed` until it goes.
    let (here, there) = futures_pipe();
    let mut opener = request.response(AllowStdIo::new(here))?;
    drop(request);
    let response = http("POST", GATEWAY, "message/ohttp-chunked-req", &sealed)?;
    assert_eq!((response.status, response.content_type.as_str()), (200, "message/ohttp-chunked-res"));
    there.set(Some(response.body));
    let mut answer = Vec::new();
    let mut pieces = 0;
    block_on(async {
        let mut buffer = [0; 4096];
        loop {
            match opener.read(&mut buffer).await? {
                0 => return Ok::<(), std::io::Error>(()),
                n => answer.extend_from_slice(&buffer[..n]),
            }
            pieces += 1;
        }
    })?;
    assert!(pieces > 5, "the answer came in {pieces} pieces: it did not stream");
    check(&format!("chunked {kem:?} {mode:?}, {pieces} pieces"), &answer, true)
}

/// A reader whose source is known later.
struct Later(std::rc::Rc<std::cell::Cell<Option<Body>>>);
fn futures_pipe() -> (Later, std::rc::Rc<std::cell::Cell<Option<Body>>>) {
    let cell = std::rc::Rc::new(std::cell::Cell::new(None));
    (Later(cell.clone()), cell)
}
impl Read for Later {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let mut body = self.0.take().ok_or_else(|| std::io::Error::other("nothing to read yet"))?;
        let n = body.read(into);
        self.0.set(Some(body));
        n
    }
}

fn altered() -> Res<()> {
    let request = ClientRequest::from_config(&mut configuration(Kem::XWing)?)?;
    let (mut sealed, _) = request.encapsulate(&question(Mode::KnownLength, false)?)?;
    *sealed.last_mut().ok_or("empty")? ^= 1;
    let mut response = http("POST", GATEWAY, "message/ohttp-req", &sealed)?;
    let mut body = String::new();
    response.body.read_to_string(&mut body)?;
    assert_eq!(response.status, 400);
    assert!(body.contains("#ohttp-key"), "{body}");
    println!("ok an altered request is refused");
    Ok(())
}

fn main() -> Res<()> {
    ohttp::init();
    for kem in [Kem::XWing, Kem::X25519Sha256] {
        for mode in [Mode::KnownLength, Mode::IndeterminateLength] {
            plain(kem, mode)?;
            chunked(kem, mode)?;
        }
    }
    altered()
}
