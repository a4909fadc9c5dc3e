//! Frames: the unit of the stream, and the incremental reader that cuts them out of it.
//!
//! `i32 length | u8 header kind | u24 header length | header | body`, where the length counts what follows it.

use std::borrow::Cow;
use std::ops::Range;

use byteorder::{BigEndian, ByteOrder};
use bytes::Bytes;

use super::fields::{FieldSink, FieldSource, Header, NoFields};
use super::{binary_header, json_header};
use crate::code::{RequestCode, ResponseCode};
use crate::error::{Error, Result};

/// Largest legal value of the length word: Java's frame decoder takes 16 MiB including the word itself.
pub(crate) const MAX_FRAME: usize = 16_777_212;

/// The version this crate reports (Java's `V5_3_3`): name servers answer with standard JSON from 401 on, and servers
/// that leave say so with `GO_AWAY` from 476 on, which the client handles.
pub(crate) const VERSION: i32 = 479;

const PREFIX: usize = 8;
const RESPONSE: i32 = 1;
const ONEWAY: i32 = 2;

/// How a header is written; the type byte of a frame says which one it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum HeaderKind {
    #[default]
    Json,
    /// Java's `ROCKETMQ` serialization. Its code has 16 bits, so larger codes always travel as JSON.
    Binary,
}

impl HeaderKind {
    fn for_code(self, code: i32) -> HeaderKind {
        if i16::try_from(code).is_ok() { self } else { HeaderKind::Json }
    }
}

/// The implementation language a peer names, as its number; 255 when it names one unknown to this crate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Language(pub(crate) u8);

impl Language {
    pub(crate) const JAVA: Language = Language(0);
    pub(crate) const RUST: Language = Language(12);
    pub(crate) const UNKNOWN: Language = Language(u8::MAX);
    const NAMES: [&'static str; 14] = [
        "JAVA", "CPP", "DOTNET", "PYTHON", "DELPHI", "ERLANG", "RUBY", "OTHER", "HTTP", "GO", "PHP", "OMS", "RUST",
        "NODE_JS",
    ];

    pub(crate) fn name(self) -> &'static str {
        Language::NAMES.get(usize::from(self.0)).copied().unwrap_or("OTHER")
    }

    pub(crate) fn from_number(number: i64) -> Language {
        u8::try_from(number).map_or(Language::UNKNOWN, Language)
    }

    pub(crate) fn from_name(name: &[u8]) -> Language {
        let number = (0..).zip(Language::NAMES).find(|(_, known)| known.as_bytes() == name);
        number.map_or(Language::UNKNOWN, |(number, _)| Language(number))
    }
}

/// The part of a header that every frame has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Head<'a> {
    pub(crate) kind: HeaderKind,
    pub(crate) code: i32,
    pub(crate) language: Language,
    pub(crate) version: i32,
    pub(crate) opaque: i32,
    pub(crate) flag: i32,
    pub(crate) remark: Option<&'a str>,
}

impl<'a> Head<'a> {
    pub(crate) fn request(kind: HeaderKind, code: RequestCode, opaque: i32) -> Head<'a> {
        let kind = kind.for_code(code.0);
        Head { kind, code: code.0, language: Language::RUST, version: VERSION, opaque, flag: 0, remark: None }
    }

    pub(crate) fn oneway(self) -> Head<'a> {
        Head { flag: self.flag | ONEWAY, ..self }
    }

    pub(crate) fn response(kind: HeaderKind, code: ResponseCode, opaque: i32, remark: Option<&'a str>) -> Head<'a> {
        let kind = kind.for_code(code.0);
        Head { kind, code: code.0, language: Language::RUST, version: VERSION, opaque, flag: RESPONSE, remark }
    }
}

/// Appends a frame without its body, which the caller appends: `body_len` bytes of it.
///
/// `extra` are fields beyond those of the header: the signature and the like.
pub(crate) fn encode<H: Header>(
    out: &mut Vec<u8>,
    head: &Head<'_>,
    header: &H,
    extra: &[(&str, &str)],
    body_len: usize,
) -> Result<()> {
    let start = out.len();
    out.extend_from_slice(&[0; PREFIX]);
    match head.kind {
        HeaderKind::Json => json_header::write(out, head, |sink| put_all(sink, header, extra)),
        HeaderKind::Binary => binary_header::write(out, head, |sink| put_all(sink, header, extra)),
    }
    let header_len = out.len() - start - PREFIX;
    let length = header_len + body_len + 4;
    if length > MAX_FRAME {
        out.truncate(start);
        return Err(Error::invalid(format!(
            "a request of {length} bytes is above the protocol's limit of {MAX_FRAME}"
        )));
    }
    // Both fit: the frame is below 2^24 bytes.
    BigEndian::write_u32(&mut out[start..], length as u32);
    let kind = u32::from(head.kind == HeaderKind::Binary) << 24;
    BigEndian::write_u32(&mut out[start + 4..], kind | header_len as u32);
    Ok(())
}

fn put_all<S: FieldSink, H: Header>(sink: &mut S, header: &H, extra: &[(&str, &str)]) {
    header.put(sink);
    for (name, value) in extra {
        sink.text(name, value);
    }
}

/// Appends a whole response frame.
pub(crate) fn encode_response<H: Header>(out: &mut Vec<u8>, head: &Head<'_>, header: &H, body: &[u8]) -> Result<()> {
    encode(out, head, header, &[], body.len())?;
    out.extend_from_slice(body);
    Ok(())
}

/// A received frame: its head decoded, its fields and body still bytes.
#[derive(Debug, Clone)]
pub(crate) struct Frame {
    pub(crate) code: i32,
    pub(crate) language: Language,
    pub(crate) version: i32,
    pub(crate) opaque: i32,
    pub(crate) flag: i32,
    pub(crate) kind: HeaderKind,
    /// Header and body.
    data: Bytes,
    remark: Part,
    fields: Part,
    body: u32,
}

/// A range of a frame, in as few bytes as frames need: they are handed on from thread to thread.
#[derive(Debug, Clone, Copy)]
struct Part(u32, u32);

impl From<Range<usize>> for Part {
    fn from(range: Range<usize>) -> Part {
        // A frame is below 2^24 bytes.
        Part(range.start as u32, range.end as u32)
    }
}

impl Part {
    fn of(self, data: &[u8]) -> &[u8] {
        &data[self.0 as usize..self.1 as usize]
    }
}

impl Frame {
    /// Decodes header and body, without the eight bytes before them.
    pub(crate) fn decode(kind: HeaderKind, data: Bytes, header_len: usize) -> Result<Frame> {
        let header = data.get(..header_len).ok_or_else(|| Error::malformed("header longer than its frame"))?;
        let parsed = match kind {
            HeaderKind::Json => json_header::read(header)?,
            HeaderKind::Binary => binary_header::read(header)?,
        };
        Ok(Frame {
            code: parsed.code,
            language: parsed.language,
            version: parsed.version,
            opaque: parsed.opaque,
            flag: parsed.flag,
            kind,
            remark: parsed.remark.into(),
            fields: parsed.fields.into(),
            body: header_len as u32,
            data,
        })
    }

    pub(crate) fn is_response(&self) -> bool {
        self.flag & RESPONSE != 0
    }

    pub(crate) fn is_oneway(&self) -> bool {
        self.flag & ONEWAY != 0
    }

    pub(crate) fn request_code(&self) -> RequestCode {
        RequestCode(self.code)
    }

    pub(crate) fn response_code(&self) -> ResponseCode {
        ResponseCode(self.code)
    }

    /// Returns the remark, empty when there is none.
    pub(crate) fn remark(&self) -> Cow<'_, str> {
        let raw = self.remark.of(&self.data);
        match self.kind {
            HeaderKind::Json => json_header::unescape(raw),
            HeaderKind::Binary => String::from_utf8_lossy(raw),
        }
    }

    /// Iterates over the fields (`extFields`) in the order they stand in the frame.
    pub(crate) fn fields(&self) -> FieldSource<'_> {
        FieldSource::new(self.kind, self.fields.of(&self.data))
    }

    /// Decodes the fields into a header.
    pub(crate) fn header<H: Header>(&self) -> Result<H> {
        H::take(self.fields())
    }

    /// Looks one field up.
    pub(crate) fn field(&self, name: &str) -> Option<Cow<'_, str>> {
        self.fields().filter_map(Result::ok).filter(|(key, _)| key == name).last().map(|(_, value)| value)
    }

    pub(crate) fn body(&self) -> &[u8] {
        &self.data[self.body as usize..]
    }

    /// Returns a copy that does not keep a large body alive, for whoever keeps frames.
    #[cfg(feature = "embedded")]
    pub(crate) fn header_only(&self) -> Frame {
        const SMALL: usize = 1024;
        if self.data.len() <= SMALL {
            return self.clone();
        }
        Frame { data: Bytes::copy_from_slice(&self.data[..self.body as usize]), ..self.clone() }
    }

    /// Returns the body, sharing the frame's memory.
    pub(crate) fn body_bytes(&self) -> Bytes {
        self.data.slice(self.body as usize..)
    }
}

/// Cuts frames out of a stream of bytes, however it was split.
///
/// A frame's memory is asked for only as its bytes arrive, so a length alone makes nobody allocate.
#[derive(Debug)]
pub(crate) struct FrameReader {
    limit: usize,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    /// A frame that does not fit the buffer, and the number of bytes it has in all.
    large: Option<(Vec<u8>, usize, usize)>,
}

impl FrameReader {
    const BUFFER: usize = 64 * 1024;

    /// `limit` bounds the length word; at most [`MAX_FRAME`].
    pub(crate) fn new(limit: usize) -> FrameReader {
        FrameReader { limit: limit.min(MAX_FRAME), buffer: vec![0; FrameReader::BUFFER], start: 0, end: 0, large: None }
    }

    /// Returns where the next bytes of the stream go; never empty.
    pub(crate) fn space(&mut self) -> &mut [u8] {
        if let Some((frame, filled, total)) = &mut self.large {
            if *filled == frame.len() {
                let more = frame.len().max(FrameReader::BUFFER).min(*total - *filled);
                frame.resize(*filled + more, 0);
            }
            return &mut frame[*filled..];
        }
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        } else if self.end == self.buffer.len() {
            self.buffer.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        &mut self.buffer[self.end..]
    }

    /// Takes note of `count` bytes written into [`space`](FrameReader::space).
    pub(crate) fn filled(&mut self, count: usize) {
        match &mut self.large {
            Some((_, filled, _)) => *filled += count,
            None => self.end += count,
        }
    }

    /// Returns the next whole frame, or `None` when more bytes are needed. After an error the stream is lost.
    pub(crate) fn next(&mut self) -> Result<Option<Frame>> {
        if let Some((_, filled, total)) = &self.large {
            if filled < total {
                return Ok(None);
            }
            let (mut frame, _, total) = self.large.take().unwrap_or_default();
            frame.truncate(total);
            let (kind, header_len) = header_word(&frame, total)?;
            return Frame::decode(kind, Bytes::from(frame).slice(PREFIX..), header_len).map(Some);
        }
        let bytes = &self.buffer[self.start..self.end];
        if bytes.len() < PREFIX {
            return Ok(None);
        }
        let length = BigEndian::read_i32(bytes);
        let total = match usize::try_from(length) {
            Ok(length) if (4..=self.limit).contains(&length) => length + 4,
            _ => return Err(Error::malformed(format!("a frame of {length} bytes; 4 to {} are allowed", self.limit))),
        };
        let (kind, header_len) = header_word(bytes, total)?;
        if total <= bytes.len() {
            let data = Bytes::copy_from_slice(&bytes[PREFIX..total]);
            self.start += total;
            return Frame::decode(kind, data, header_len).map(Some);
        }
        if total > self.buffer.len() {
            self.large = Some((bytes.to_vec(), bytes.len(), total));
            (self.start, self.end) = (0, 0);
        }
        Ok(None)
    }
}

/// Reads the second word of a frame of `total` bytes.
fn header_word(frame: &[u8], total: usize) -> Result<(HeaderKind, usize)> {
    let kind = match frame[4] {
        0 => HeaderKind::Json,
        1 => HeaderKind::Binary,
        other => return Err(Error::malformed(format!("header kind {other}; 0 (JSON) and 1 (ROCKETMQ) exist"))),
    };
    let header_len = BigEndian::read_u24(&frame[5..]) as usize;
    if header_len > total - PREFIX {
        return Err(Error::malformed(format!("a header of {header_len} bytes in a frame of {total}")));
    }
    Ok((kind, header_len))
}

/// Appends a request frame with its body.
pub(crate) fn encode_request<H: Header>(out: &mut Vec<u8>, head: &Head<'_>, header: &H, body: &[u8]) -> Result<()> {
    encode_response(out, head, header, body)
}

/// Decodes one whole frame, for tests and for the few places that have it in one piece.
pub(crate) fn decode_whole(bytes: &[u8]) -> Result<Frame> {
    let mut reader = FrameReader::new(MAX_FRAME);
    let mut rest = bytes;
    loop {
        if let Some(frame) = reader.next()? {
            return Ok(frame);
        }
        if rest.is_empty() {
            return Err(Error::malformed("half a frame"));
        }
        let space = reader.space();
        let count = space.len().min(rest.len());
        space[..count].copy_from_slice(&rest[..count]);
        rest = &rest[count..];
        reader.filled(count);
    }
}

/// A response without fields, as most error answers are.
pub(crate) fn encode_error(
    out: &mut Vec<u8>,
    kind: HeaderKind,
    code: ResponseCode,
    opaque: i32,
    remark: &str,
) -> Result<()> {
    encode_response(out, &Head::response(kind, code, opaque, Some(remark)), &NoFields, &[])
}

#[cfg(test)]
mod tests;
