//! What a file is, by its bytes; pictures without what the camera wrote into them, and small ones of them.
//!
//! Bytes come from strangers: nothing here may panic, and nothing may take more memory than the limits below.

use std::io::Cursor;

use bytes::Bytes;
use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageReader, Limits};
use img_parts::jpeg::{Jpeg, JpegSegment, markers};
use img_parts::png::Png;
use img_parts::riff::{RiffChunk, RiffContent};
use img_parts::webp::WebP;
use img_parts::{ImageEXIF, ImageICC};

/// Of what we know nothing, and what no browser is asked to show.
pub const UNKNOWN: &str = "application/octet-stream";

/// What a picture may take once it is unpacked: some forty million pixels.
const MOST_MEMORY: u64 = 128 * 1024 * 1024;
/// What its longer side may be.
const LARGEST_SIDE: u32 = 16_384;
/// The longer side of a small one: twice what a thread shows, for screens that are finer.
const THUMBNAIL: u32 = 640;
/// A file that is smaller than this is a small one itself.
const SMALL: usize = 40 * 1024;

/// The type of a file by what its bytes say, never by what anybody claims.
pub fn kind(bytes: &[u8]) -> &'static str {
    match infer::get(bytes).map(|kind| kind.mime_type()) {
        Some("audio/m4a") => "audio/mp4",
        Some(
            kind @ ("image/jpeg" | "image/png" | "image/gif" | "image/webp" | "image/bmp"
            | "image/tiff" | "image/heif" | "video/mp4" | "video/quicktime" | "video/webm"
            | "audio/mpeg" | "audio/ogg" | "audio/amr" | "audio/aac" | "application/pdf"),
        ) => kind,
        _ if bytes.starts_with(b"BEGIN:VCARD\r\n") || bytes.starts_with(b"BEGIN:VCARD\n") => {
            "text/vcard"
        }
        _ => UNKNOWN,
    }
}

/// The picture cannot be read as what it says it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the picture is damaged")]
pub struct Damaged;

/// The same file without place, time, camera and words; which way up it is stays. What is no picture of a kind that carries
/// these comes back as it is.
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
    let exif = upright(picture.exif());
    let profile = picture.icc_profile();
    // The rest of a file follows its first scan. A frame without one is no picture.
    let scan = picture.segments().last().map(scan_of).unwrap_or_default();
    if scan == 0 {
        return Err(Damaged);
    }
    // APP14 says how colours are coded; every other one, and comments, are about the picture.
    picture.segments_mut().retain(|segment| {
        let marker = segment.marker();
        marker == markers::APP14
            || !((markers::APP0..=markers::APP15).contains(&marker) || marker == markers::COM)
    });
    picture.set_icc_profile(profile);
    picture.set_exif(exif);
    let clean = picture.encoder().bytes();
    // Phones put whole pictures and films behind the end, with metadata of their own.
    let scan = clean.len() - scan;
    let end = scan + end_of_picture(&clean[scan..]);
    Ok(clean.slice(..end))
}

/// How many bytes follow the header of a scan.
fn scan_of(segment: &JpegSegment) -> usize {
    segment.len_with_entropy() - segment.len()
}

/// Where the picture ends, behind its end marker, in `scan`: the coded pixels, and whatever comes after them.
fn end_of_picture(scan: &[u8]) -> usize {
    let mut at = 0;
    while let Some(found) = scan
        .get(at..)
        .and_then(|rest| rest.iter().position(|byte| *byte == 0xff))
    {
        at += found;
        match scan.get(at + 1) {
            Some(&markers::EOI) => return at + 2,
            // Padding, a coded 0xff, and the marks between the parts of a scan.
            Some(0xff) => at += 1,
            Some(0x00 | 0x01 | 0xd0..=0xd7) => at += 2,
            // A table or a further scan; its length counts itself.
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
    let exif = upright(picture.exif());
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
    let exif = upright(picture.exif());
    picture.chunks_mut().retain(|chunk| {
        matches!(
            &chunk.id(),
            b"VP8X" | b"VP8 " | b"VP8L" | b"ALPH" | b"ANIM" | b"ANMF" | b"ICCP"
        )
    });
    // The header says which parts there are, and decoders miss what it names. The crate sees to EXIF, and not to XMP.
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

/// Of all that a camera wrote, which way up the picture is, if that needs saying.
fn upright(exif: Option<Bytes>) -> Option<Bytes> {
    let turned = Orientation::from_exif_chunk(&exif?)?;
    if turned == Orientation::NoTransforms {
        return None;
    }
    // Little-endian TIFF, one directory at 8 with one entry: tag 0x0112, one short.
    let mut tiff = *b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\0\0\0\0\0\0\0\0";
    tiff[18] = turned.to_exif();
    Some(Bytes::copy_from_slice(&tiff))
}

/// A small one, the right way up; `None` where the file is small already, moves, or is none that we unpack. Takes a while:
/// not for a thread that others wait for.
pub fn thumbnail(bytes: &[u8]) -> Option<Bytes> {
    if bytes.len() < SMALL {
        return None;
    }
    let picture = unpacked(bytes)?;
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

/// Width and height in pixels, the right way up; `None` for what is no picture that we unpack. Reads the header only.
pub fn measured(bytes: &[u8]) -> Option<(u32, u32)> {
    let reader = ImageReader::new(Cursor::new(bytes));
    let mut decoder = reader.with_guessed_format().ok()?.into_decoder().ok()?;
    let (width, height) = decoder.dimensions();
    let lies = matches!(
        decoder.orientation().unwrap_or(Orientation::NoTransforms),
        Orientation::Rotate90
            | Orientation::Rotate270
            | Orientation::Rotate90FlipH
            | Orientation::Rotate270FlipH
    );
    (width > 0 && height > 0).then_some(if lies {
        (height, width)
    } else {
        (width, height)
    })
}

fn unpacked(bytes: &[u8]) -> Option<DynamicImage> {
    let mut limits = Limits::default();
    limits.max_image_width = Some(LARGEST_SIDE);
    limits.max_image_height = Some(LARGEST_SIDE);
    limits.max_alloc = Some(MOST_MEMORY);
    let mut reader = ImageReader::new(Cursor::new(bytes))
        .with_guessed_format()
        .ok()?;
    reader.limits(limits.clone());
    let mut decoder = reader.into_decoder().ok()?;
    // What the header promises is refused before anything is unpacked.
    limits.reserve(decoder.total_bytes()).ok()?;
    let turned = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let mut picture = DynamicImage::from_decoder(decoder).ok()?;
    picture.apply_orientation(turned);
    Some(picture)
}

#[cfg(test)]
mod tests;
