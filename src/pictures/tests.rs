use image::codecs::jpeg::JpegEncoder;
use image::{GenericImageView, ImageEncoder, RgbImage};
use img_parts::png::PngChunk;
use proptest::prelude::*;

use super::*;

/// EXIF of a camera: rotated by 90°, with GPS position and camera model.
fn exif() -> Bytes {
    let mut tiff = b"II*\0\x08\0\0\0".to_vec();
    tiff.extend(2u16.to_le_bytes());
    // Orientation 6; then the GPS directory.
    tiff.extend(b"\x12\x01\x03\0\x01\0\0\0\x06\0\0\0");
    tiff.extend(b"\x25\x88\x04\0\x01\0\0\0\x26\0\0\0");
    tiff.extend(0u32.to_le_bytes());
    tiff.extend(b"GPS 37.8N 122.4W Cam-o-matic");
    tiff.into()
}

fn gradient(width: u32, height: u32) -> RgbImage {
    // Noise does not compress, so the files are as large as those of a camera.
    let mut seed = 7u32;
    RgbImage::from_fn(width, height, |x, y| {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        image::Rgb([(x % 256) as u8, (y % 256) as u8, (seed >> 24) as u8])
    })
}

fn photo(width: u32, height: u32) -> Bytes {
    let mut out = Vec::new();
    let mut encoder = JpegEncoder::new(&mut out);
    encoder.set_icc_profile(b"profile".to_vec()).unwrap();
    encoder.encode_image(&gradient(width, height)).unwrap();
    let mut jpeg = Jpeg::from_bytes(out.into()).unwrap();
    jpeg.set_exif(Some(exif()));
    let words = JpegSegment::new_with_contents(markers::COM, "GPS in words".into());
    jpeg.segments_mut().insert(1, words);
    let xmp =
        JpegSegment::new_with_contents(markers::APP1, "http://ns.adobe.com/xap/1.0/\0GPS".into());
    jpeg.segments_mut().insert(1, xmp);
    jpeg.encoder().bytes()
}

fn says_where(bytes: &[u8]) -> bool {
    bytes.windows(3).any(|found| found == b"GPS")
}

#[test]
fn photo_loses_location_and_keeps_color_and_orientation() {
    let photo = photo(60, 40);
    let before = decode(&photo).unwrap();
    assert!(
        says_where(&photo) && before.dimensions() == (40, 60),
        "turned"
    );
    assert_eq!(dimensions(&photo), Some((40, 60)));
    let clean = stripped(photo).unwrap();
    assert_eq!(dimensions(&clean), Some((40, 60)));
    assert!(!says_where(&clean));
    assert_eq!(decode(&clean).unwrap(), before);
    let parts = Jpeg::from_bytes(clean.clone()).unwrap();
    assert_eq!(parts.icc_profile().unwrap(), "profile");
    assert_eq!(stripped(clean.clone()).unwrap(), clean, "idempotent");
}

#[test]
fn trailing_data_is_removed() {
    let photo = photo(60, 40);
    let two = [photo.clone(), photo.clone()].concat();
    assert_eq!(stripped(two.into()).unwrap(), stripped(photo).unwrap());
}

#[test]
fn other_formats_lose_metadata_too() {
    let mut out = Vec::new();
    let image = gradient(60, 40);
    let size = (
        image.width(),
        image.height(),
        image::ExtendedColorType::Rgb8,
    );
    image::codecs::png::PngEncoder::new(&mut out)
        .write_image(&image, size.0, size.1, size.2)
        .unwrap();
    let mut png = Png::from_bytes(out.into()).unwrap();
    png.set_exif(Some(exif()));
    png.chunks_mut()
        .insert(1, PngChunk::new(*b"tEXt", "Comment\0GPS".into()));
    let mut out = Vec::new();
    image::codecs::webp::WebPEncoder::new_lossless(&mut out)
        .write_image(&image, size.0, size.1, size.2)
        .unwrap();
    let mut webp = WebP::from_bytes(out.into()).unwrap();
    webp.chunks_mut()
        .push(RiffChunk::new(*b"XMP ", RiffContent::Data("GPS".into())));
    webp.set_exif(Some(exif()));
    for picture in [png.encoder().bytes(), webp.encoder().bytes()] {
        let kind = kind(&picture);
        let before = decode(&picture).expect(kind);
        assert!(says_where(&picture), "{kind}");
        let clean = stripped(picture).unwrap();
        assert!(!says_where(&clean), "{kind}");
        assert_eq!(decode(&clean).unwrap(), before, "{kind}");
    }
}

#[test]
fn thumbnail_is_small_and_upright() {
    let photo = photo(1200, 800);
    let small = thumbnail(&photo).unwrap();
    assert!(small.len() < photo.len() / 2);
    assert_eq!(decode(&small).unwrap().dimensions(), (427, 640));
    assert_eq!(thumbnail(b"not a picture"), None);
}

/// A few bytes whose header declares four thousand million pixels.
#[test]
fn decompression_bomb_is_refused() {
    let mut png = Vec::new();
    image::codecs::png::PngEncoder::new(&mut png)
        .write_image(&[0; 4], 2, 2, image::ExtendedColorType::L8)
        .unwrap();
    let mut png = Png::from_bytes(png.into()).unwrap();
    for (width, height) in [(65_500u32, 65_500u32), (16_000, 16_000)] {
        let mut header = png.chunks()[0].contents().to_vec();
        header[..4].copy_from_slice(&width.to_be_bytes());
        header[4..8].copy_from_slice(&height.to_be_bytes());
        png.chunks_mut()[0] = PngChunk::new(*b"IHDR", header.into());
        assert!(decode(&png.clone().encoder().bytes()).is_none());
    }
}

#[test]
fn type_is_detected_from_bytes() {
    assert_eq!(kind(&photo(8, 8)), "image/jpeg");
    assert_eq!(kind(b"BEGIN:VCARD\r\nFN:Maya"), "text/vcard");
    for other in [
        "<svg xmlns=\"http://www.w3.org/2000/svg\"><script>alert(1)</script></svg>",
        "<!DOCTYPE html><script>alert(1)</script>",
        "#!/bin/sh\n",
        "",
    ] {
        assert_eq!(kind(other.as_bytes()), UNKNOWN, "{other}");
    }
}

fn someone_elses() -> impl Strategy<Value = Vec<u8>> {
    let real = [
        photo(24, 16).to_vec(),
        {
            let mut out = Vec::new();
            let image = gradient(9, 9);
            image::codecs::png::PngEncoder::new(&mut out)
                .write_image(&image, 9, 9, image::ExtendedColorType::Rgb8)
                .unwrap();
            out
        },
        {
            let mut out = Vec::new();
            let image = gradient(9, 9);
            image::codecs::webp::WebPEncoder::new_lossless(&mut out)
                .write_image(&image, 9, 9, image::ExtendedColorType::Rgb8)
                .unwrap();
            out
        },
    ];
    let damage = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..12);
    let damaged = (
        prop::sample::select(real.to_vec()),
        damage,
        any::<prop::sample::Index>(),
        any::<bool>(),
    )
        .prop_map(|(mut bytes, damage, cut, is_cut)| {
            for (at, byte) in damage {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            if is_cut {
                bytes.truncate(cut.index(bytes.len()));
            }
            bytes
        });
    prop_oneof![
        4 => damaged,
        1 => prop::collection::vec(any::<u8>(), 0..200),
    ]
}

proptest! {
    #[test]
    fn any_bytes_are_safe(bytes in someone_elses()) {
        let bytes = Bytes::from(bytes);
        let _ = kind(&bytes);
        let _ = decode(&bytes);
        let _ = dimensions(&bytes);
        if let Ok(clean) = stripped(bytes.clone()) {
            prop_assert!(clean.len() <= bytes.len() + 64);
        }
    }
}
