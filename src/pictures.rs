//! File type detection by content; metadata removal and thumbnails of pictures.
//!
//! Input is untrusted: nothing here may panic, or use more memory than the limits below.

use std::io::Cursor;

use bytes::Bytes;
use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageReader, Limits};
use img_parts::jpeg::{Jpeg, JpegSegment, markers};
use img_parts::png::Png;
use img_parts::riff::{RiffChunk, RiffContent};
use img_parts::webp::WebP;
use img_parts::{ImageEXIF, ImageICC};
use unicode_normalization::UnicodeNormalization;

/// The type of unrecognized files, which browsers must not display.
pub const UNKNOWN: &str = "application/octet-stream";

/// Memory limit for a decoded picture: about forty million pixels.
const MAX_MEMORY: u64 = 128 * 1024 * 1024;
const MAX_SIDE: u32 = 16_384;
/// Longer side of a thumbnail: twice its size in a thread, for high-resolution screens.
const THUMBNAIL: u32 = 640;
const MIN_THUMBNAIL_SOURCE: usize = 40 * 1024;

/// The media type by content, whatever type is claimed.
pub fn kind(bytes: &[u8]) -> &'static str {
    if let Some(kind) = brand(bytes) {
        return kind;
    }
    match infer::get(bytes).map(|kind| kind.mime_type()) {
        Some("audio/m4a") => "audio/mp4",
        Some(
            kind @ ("image/jpeg" | "image/png" | "image/gif" | "image/webp" | "image/bmp"
            | "image/tiff" | "image/heif" | "image/avif" | "video/mp4" | "video/quicktime"
            | "video/webm" | "audio/mpeg" | "audio/ogg" | "audio/amr" | "audio/aac"
            | "audio/x-wav" | "application/pdf"),
        ) => kind,
        _ => document(bytes),
    }
}

/// The same; for unrecognized content the claimed type, if it is one of a few that browsers do not run.
pub fn kind_as_claimed(bytes: &[u8], claimed: &str) -> &'static str {
    let claimed = claimed.split(';').next().unwrap_or_default().trim();
    let claimed = claimed.to_ascii_lowercase();
    match (kind(bytes), claimed.as_str()) {
        // The same container with audio only.
        ("video/3gpp", "audio/3gpp") => "audio/3gpp",
        ("video/3gpp2", "audio/3gpp2") => "audio/3gpp2",
        (UNKNOWN, "text/plain") if std::str::from_utf8(bytes).is_ok() => "text/plain",
        (UNKNOWN, claimed) => DOWNLOAD_TYPES
            .into_iter()
            .find(|known| *known == claimed)
            .unwrap_or(UNKNOWN),
        (known, _) => known,
    }
}

/// Types accepted as claimed, because they are only served as downloads.
const DOWNLOAD_TYPES: [&str; 10] = [
    "audio/3gpp",
    "audio/3gpp2",
    "audio/amr",
    "audio/amr-wb",
    "audio/basic",
    "video/3gpp",
    "video/3gpp2",
    "video/mpeg",
    "application/smil",
    "text/calendar",
];

/// The type by the brand in the first box of an ISO base media file.
fn brand(bytes: &[u8]) -> Option<&'static str> {
    if bytes.get(4..8)? != b"ftyp" {
        return None;
    }
    Some(match bytes.get(8..12)? {
        b"heic" | b"heix" | b"heim" | b"heis" | b"hevc" | b"hevx" => "image/heic",
        b"mif1" | b"msf1" => "image/heif",
        b"avif" | b"avis" => "image/avif",
        [b'3', b'g', b'2', _] => "video/3gpp2",
        [b'3', b'g', b'p' | b'r' | b's' | b'e', _] => "video/3gpp",
        b"qt  " => "video/quicktime",
        b"M4A " | b"M4B " => "audio/mp4",
        b"isom" | b"iso2" | b"iso4" | b"iso5" | b"iso6" | b"mp41" | b"mp42" | b"avc1" | b"dash"
        | b"M4V " | b"MSNV" => "video/mp4",
        _ => return None,
    })
}

fn document(bytes: &[u8]) -> &'static str {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let start = bytes.trim_ascii_start();
    let begins = |with: &[u8]| {
        start
            .get(..with.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(with))
    };
    if begins(b"BEGIN:VCARD") {
        "text/vcard"
    } else if begins(b"BEGIN:VCALENDAR") {
        "text/calendar"
    } else if begins(b"<smil") {
        "application/smil"
    } else {
        UNKNOWN
    }
}

pub fn extension(kind: &str) -> &'static str {
    match kind {
        "image/jpeg" => "jpg",
        "image/png" => "png",
        "image/gif" => "gif",
        "image/webp" => "webp",
        "image/bmp" => "bmp",
        "image/tiff" => "tiff",
        "image/heic" => "heic",
        "image/heif" => "heif",
        "image/avif" => "avif",
        "video/mp4" => "mp4",
        "video/quicktime" => "mov",
        "video/webm" => "webm",
        "video/mpeg" => "mpg",
        "video/3gpp" | "audio/3gpp" => "3gp",
        "video/3gpp2" | "audio/3gpp2" => "3g2",
        "audio/mpeg" => "mp3",
        "audio/mp4" => "m4a",
        "audio/ogg" => "ogg",
        "audio/amr" | "audio/amr-wb" => "amr",
        "audio/aac" => "aac",
        "audio/basic" => "au",
        "audio/x-wav" => "wav",
        "application/pdf" => "pdf",
        "application/smil" => "smil",
        "text/vcard" | "text/x-vcard" => "vcf",
        "text/calendar" => "ics",
        "text/plain" => "txt",
        _ => "bin",
    }
}

/// A safe file name: at most 20 ASCII letters, digits, dots and hyphens, with the extension of `kind`. Twilio supports
/// no longer names and no spaces.
pub fn file_name(name: &str, kind: &str) -> String {
    const LENGTH_LIMIT: usize = 20;
    let extension = extension(kind);
    let name = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    let mut plain = String::new();
    for character in stem.nfkd() {
        match character {
            'a'..='z' | 'A'..='Z' | '0'..='9' | '_' => plain.push(character),
            _ if unicode_normalization::char::is_combining_mark(character) => {}
            _ if plain.is_empty() || plain.ends_with('-') => {}
            _ => plain.push('-'),
        }
        if plain.len() + extension.len() + 1 == LENGTH_LIMIT {
            break;
        }
    }
    let plain = plain.trim_end_matches('-');
    let stem = match (plain, kind.split('/').next()) {
        ("", _) if kind.ends_with("vcard") => "contact",
        ("", Some("image")) => "picture",
        ("", Some("video")) => "video",
        ("", Some("audio")) => "recording",
        ("", Some("text")) => "text",
        ("", _) if kind == "application/pdf" => "document",
        ("", _) => "file",
        (plain, _) => plain,
    };
    format!("{stem}.{extension}")
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the picture is damaged")]
pub struct Damaged;

/// Removes location, time, camera and comments, but keeps the orientation. Other file types are returned unchanged.
pub fn stripped(bytes: Bytes) -> Result<Bytes, Damaged> {
    match kind(&bytes) {
        "image/jpeg" => jpeg(bytes),
        "image/png" => png(bytes),
        "image/webp" => webp(bytes),
        _ => Ok(bytes),
    }
}

fn jpeg(bytes: Bytes) -> Result<Bytes, Damaged> {
    let mut picture = Jpeg::from_bytes(bytes).map_err(|_| Damaged)?;
    let exif = orientation_exif(picture.exif());
    let profile = picture.icc_profile();
    // The first scan contains the rest of the file. A picture without one is damaged.
    let scan = picture
        .segments()
        .last()
        .map(scan_length)
        .unwrap_or_default();
    if scan == 0 {
        return Err(Damaged);
    }
    // APP14 holds the colour transform; all other APP segments and comments are metadata.
    picture.segments_mut().retain(|segment| {
        let marker = segment.marker();
        marker == markers::APP14
            || !((markers::APP0..=markers::APP15).contains(&marker) || marker == markers::COM)
    });
    picture.set_icc_profile(profile);
    picture.set_exif(exif);
    let clean = picture.encoder().bytes();
    // Phones append whole pictures and videos, with metadata of their own.
    let scan = clean.len() - scan;
    let end = scan + end_of_picture(&clean[scan..]);
    Ok(clean.slice(..end))
}

fn scan_length(segment: &JpegSegment) -> usize {
    segment.len_with_entropy() - segment.len()
}

/// The end of the picture in `scan`, after its end marker. More data may follow.
fn end_of_picture(scan: &[u8]) -> usize {
    let mut at = 0;
    while let Some(found) = scan
        .get(at..)
        .and_then(|rest| rest.iter().position(|byte| *byte == 0xff))
    {
        at += found;
        match scan.get(at + 1) {
            Some(&markers::EOI) => return at + 2,
            // Padding, an escaped 0xff, and restart markers.
            Some(0xff) => at += 1,
            Some(0x00 | 0x01 | 0xd0..=0xd7) => at += 2,
            // A table or another scan; the length includes itself.
            Some(_) => match scan.get(at + 2..at + 4) {
                Some(&[high, low]) => at += 2 + usize::from(u16::from_be_bytes([high, low])).max(2),
                _ => break,
            },
            None => break,
        }
    }
    scan.len()
}

fn png(bytes: Bytes) -> Result<Bytes, Damaged> {
    let mut picture = Png::from_bytes(bytes).map_err(|_| Damaged)?;
    let exif = orientation_exif(picture.exif());
    picture.chunks_mut().retain(|chunk| {
        !matches!(
            &chunk.kind(),
            b"tEXt" | b"zTXt" | b"iTXt" | b"eXIf" | b"tIME"
        )
    });
    picture.set_exif(exif);
    Ok(picture.encoder().bytes())
}

fn webp(bytes: Bytes) -> Result<Bytes, Damaged> {
    let mut picture = WebP::from_bytes(bytes).map_err(|_| Damaged)?;
    let exif = orientation_exif(picture.exif());
    picture.chunks_mut().retain(|chunk| {
        matches!(
            &chunk.id(),
            b"VP8X" | b"VP8 " | b"VP8L" | b"ALPH" | b"ANIM" | b"ANMF" | b"ICCP"
        )
    });
    // Decoders expect the parts that the header flags name. The crate updates the flag for EXIF, but not for XMP.
    let mut parts = picture.chunks_mut().iter_mut();
    let header = parts.find(|chunk| &chunk.id() == b"VP8X");
    if let Some(RiffContent::Data(header)) = header.map(RiffChunk::content_mut) {
        let mut bytes = header.to_vec();
        if let Some(flags) = bytes.first_mut() {
            *flags &= !0b0100;
        }
        *header = bytes.into();
    }
    picture.set_exif(exif);
    Ok(picture.encoder().bytes())
}

/// Minimal EXIF with the orientation only, if the picture needs one.
fn orientation_exif(exif: Option<Bytes>) -> Option<Bytes> {
    let orientation = Orientation::from_exif_chunk(&exif?)?;
    if orientation == Orientation::NoTransforms {
        return None;
    }
    // Little-endian TIFF, one directory at 8 with one entry: tag 0x0112, one short.
    let mut tiff = *b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\0\0\0\0\0\0\0\0";
    tiff[18] = orientation.to_exif();
    Some(Bytes::copy_from_slice(&tiff))
}

/// A thumbnail in upright orientation; `None` for small, animated and unsupported files. CPU-bound: not for async
/// threads.
pub fn thumbnail(bytes: &[u8]) -> Option<Bytes> {
    if bytes.len() < MIN_THUMBNAIL_SOURCE {
        return None;
    }
    let picture = decode(bytes)?;
    let small = picture.thumbnail(THUMBNAIL, THUMBNAIL);
    let mut out = Cursor::new(Vec::new());
    if small.color().has_alpha() {
        small.write_to(&mut out, image::ImageFormat::Png).ok()?;
    } else {
        let encoder = image::codecs::jpeg::JpegEncoder::new_with_quality(&mut out, 80);
        small.to_rgb8().write_with_encoder(encoder).ok()?;
    }
    let out = out.into_inner();
    (out.len() < bytes.len()).then(|| out.into())
}

/// Width and height in upright orientation; `None` for unsupported files. Reads the header only.
pub fn dimensions(bytes: &[u8]) -> Option<(u32, u32)> {
    let reader = ImageReader::new(Cursor::new(bytes));
    let mut decoder = reader.with_guessed_format().ok()?.into_decoder().ok()?;
    let (width, height) = decoder.dimensions();
    let is_rotated = matches!(
        decoder.orientation().unwrap_or(Orientation::NoTransforms),
        Orientation::Rotate90
            | Orientation::Rotate270
            | Orientation::Rotate90FlipH
            | Orientation::Rotate270FlipH
    );
    (width > 0 && height > 0).then_some(if is_rotated {
        (height, width)
    } else {
        (width, height)
    })
}

fn decode(bytes: &[u8]) -> Option<DynamicImage> {
    let mut limits = Limits::default();
    limits.max_image_width = Some(MAX_SIDE);
    limits.max_image_height = Some(MAX_SIDE);
    limits.max_alloc = Some(MAX_MEMORY);
    let mut reader = ImageReader::new(Cursor::new(bytes))
        .with_guessed_format()
        .ok()?;
    reader.limits(limits.clone());
    let mut decoder = reader.into_decoder().ok()?;
    // Rejects by the size in the header, before decoding.
    limits.reserve(decoder.total_bytes()).ok()?;
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let mut picture = DynamicImage::from_decoder(decoder).ok()?;
    picture.apply_orientation(orientation);
    Some(picture)
}

#[cfg(test)]
mod tests;
