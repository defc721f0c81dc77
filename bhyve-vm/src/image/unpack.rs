//! Compressed images, read as what is in them.

use super::ImageFormat;
use flate2::read::MultiGzDecoder;
use liblzma::{
    read::XzDecoder,
    stream::{CONCATENATED, Stream},
};
use std::io::{self, BufReader, Read};

/// What a file of xz may ask for; its largest preset, `-9`, takes 65 MiB to decompress (xz(1)).
const XZ_MEMORY_BYTES: u64 = 512 << 20;

/// What is in a compressed file, also if it consists of several parts one after the other. None if the format is not
/// read here.
pub(super) fn unpacked<'a>(
    format: ImageFormat,
    source: impl Read + 'a,
) -> Option<io::Result<Box<dyn Read + 'a>>> {
    match format {
        ImageFormat::Gzip => Some(Ok(Box::new(MultiGzDecoder::new(source)))),
        ImageFormat::Xz => Some(xz(source)),
        ImageFormat::Zstd => Some(zstd(source)),
        ImageFormat::Bzip2 | ImageFormat::Raw | ImageFormat::Qcow2 => None,
    }
}

fn xz<'a>(source: impl Read + 'a) -> io::Result<Box<dyn Read + 'a>> {
    let stream = Stream::new_stream_decoder(XZ_MEMORY_BYTES, CONCATENATED)?;
    let source = BufReader::new(source);
    Ok(Box::new(XzDecoder::new_stream(source, stream)))
}

fn zstd<'a>(source: impl Read + 'a) -> io::Result<Box<dyn Read + 'a>> {
    Ok(Box::new(zstd::Decoder::new(source)?))
}
