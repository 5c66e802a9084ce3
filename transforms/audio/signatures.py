"""Magic bytes of files: of audio, and of what is found under the names of recordings."""

# Magic bytes of containers of audio. A file with them is damaged audio, not something else.
AUDIO_MAGICS = (
    *(b"RIFF", b"RIFX", b"RF64", b"BW64", b"riff", b"FORM", b"FRM8", b"caff", b"fLaC", b"OggS"),
    *(b"ID3", b".snd", b"dns.", b"NIST_1A", b"Creative Voice File", b"MATLAB 5.0 MAT-file"),
    *(b"2BIT", b"PVF1\n", b" paf", b"fap ", b"wvpk", b"MAC ", b"TTA1", b"TTA2", b"tBaK", b"OFR "),
    *(b"#!AMR", b"#!SILK", b"ADIF", b"FLV", b"DSD ", b"MPCK", b"MP+", b"ajkg", b".RMF", b".ra\xfd"),
    *(b"\x1aE\xdf\xa3", b"0&\xb2u\x8ef\xcf\x11", b"\x00\x00\x01\xba", b"EA3", b"ea3"),
)
# Bytes 4 to 8 of files in the formats of QuickTime and MP4.
BOXES = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot", b"styp")
UNPACK = "unpack it first"
DECOMPRESS = "decompress it first"
DECRYPT = "decrypt it first"
DOWNLOAD = "download the recording itself"
# Offset, magic bytes, name, and the hint (which may be empty).
SIGNATURES = (
    (0, b"PK\x03\x04", "a ZIP archive", UNPACK),
    (0, b"PK\x05\x06", "an empty ZIP archive", ""),
    (0, b"PK\x07\x08", "a part of a ZIP archive", UNPACK),
    (0, b"\x1f\x8b\x08", "a gzip file", DECOMPRESS),
    (0, b"\x1f\x9d\x90", "a file compressed by compress (.Z)", DECOMPRESS),
    (0, b"BZh", "a bzip2 file", DECOMPRESS),
    (0, b"\xfd7zXZ\x00", "an xz file", DECOMPRESS),
    (0, b"]\x00\x00\x80\x00", "an LZMA file", DECOMPRESS),
    (0, b"LZIP", "an lzip file", DECOMPRESS),
    (0, b"\x28\xb5\x2f\xfd", "a Zstandard file", DECOMPRESS),
    (0, b"\x04\x22\x4d\x18", "an LZ4 file", DECOMPRESS),
    (0, b"\xff\x06\x00\x00sNaPpY", "a Snappy file", DECOMPRESS),
    (0, b"7z\xbc\xaf\x27\x1c", "a 7z archive", UNPACK),
    (0, b"Rar!\x1a\x07", "a RAR archive", UNPACK),
    (0, b"MSCF\x00\x00\x00\x00", "a Windows cabinet archive", UNPACK),
    (0, b"!<arch>\n", "an ar archive (as of Debian packages)", UNPACK),
    (0, b"xar!", "an xar archive", UNPACK),
    (0, b"070701", "a cpio archive", UNPACK),
    (257, b"ustar", "a tar archive", UNPACK),
    (0, b"\x93NUMPY", "a NumPy array (.npy)", "write its samples as WAV"),
    (0, b"PAR1", "a Parquet file", "extract the recordings from its columns"),
    (0, b"PARE", "an encrypted Parquet file", DECRYPT),
    (0, b"ARROW1", "an Arrow file", "extract the recordings from its columns"),
    (0, b"FEA1", "a Feather file", "extract the recordings from its columns"),
    (0, b"Obj\x01", "an Avro file", "extract the recordings from its records"),
    (0, b"\x89HDF\r\n\x1a\n", "an HDF5 file", "extract the recordings from it"),
    (
        512,
        b"\x89HDF\r\n\x1a\n",
        "an HDF5 file (as of MATLAB 7.3)",
        "extract the recordings from it",
    ),
    (0, b"CDF\x01", "a NetCDF file", "extract the recordings from it"),
    (0, b"TDSm", "a TDMS file of measurements", "write its samples as WAV"),
    (0, b"SQLite format 3\x00", "an SQLite database", "extract the recordings from it"),
    (0, b"\x80\x04\x95", "a Python pickle", "write its samples as WAV"),
    (0, b"\x80\x05\x95", "a Python pickle", "write its samples as WAV"),
    (0, b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46", "a PyTorch file", "write its samples as WAV"),
    (0, b"%!PS", "a PostScript file", ""),
    (0, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "a Microsoft Office document", ""),
    (0, b"\x89PNG\r\n\x1a\n", "a PNG image", ""),
    (0, b"\xff\xd8\xff", "a JPEG image", ""),
    (0, b"GIF87a", "a GIF image", ""),
    (0, b"GIF89a", "a GIF image", ""),
    (8, b"WEBPVP8", "a WebP image", ""),
    (0, b"II*\x00", "a TIFF image", ""),
    (0, b"MM\x00*", "a TIFF image", ""),
    (0, b"8BPS", "a Photoshop image", ""),
    (0, b"\x00\x00\x00\x0cJXL ", "a JPEG XL image", ""),
    (0, b"\x00\x00\x00\x0cjP  ", "a JPEG 2000 image", ""),
    (4, b"ftypheic", "a HEIC image", ""),
    (4, b"ftypmif1", "a HEIF image", ""),
    (4, b"ftypavif", "an AVIF image", ""),
    (8, b"sfbkLIST", "a SoundFont: instruments, not a recording", ""),
    (8, b"RMIDdata", "a MIDI file: notes, not audio", "render it with a synthesiser"),
    (0, b"MThd\x00\x00\x00\x06", "a MIDI file: notes, not audio", "render it with a synthesiser"),
    (0, b"RPKN", "a peak file of Reaper", "its recording lies beside it"),
    (0, b"\x7fELF", "a program (ELF)", ""),
    (0, b"MZ\x90\x00", "a Windows program", ""),
    (0, b"\xcf\xfa\xed\xfe", "a macOS program", ""),
    (0, b"\xca\xfe\xba\xbe", "a Java class or macOS program", ""),
    (0, b"\x00asm\x01\x00\x00\x00", "a WebAssembly program", ""),
    (0, b"wOFF", "a font", ""),
    (0, b"wOF2", "a font", ""),
    (0, b"OTTO\x00", "a font", ""),
    (0, b"\x00\x05\x16\x07", "AppleDouble metadata of macOS (a file named ._*)", "remove it"),
    (0, b"\x00\x00\x00\x01Bud1", "folder metadata of macOS (.DS_Store)", "remove it"),
    (0, b"\x4c\x00\x00\x00\x01\x14\x02\x00", "a Windows shortcut (.lnk)", "name its target"),
    (0, b"IntxLNK\x01", "a symbolic link as a file", "name its target"),
    (0, b"!<symlink>", "a symbolic link as a file", "name its target"),
    (0, b"bplist00", "a property list of Apple (a placeholder of iCloud?)", DOWNLOAD),
    (0, b"d8:announce", "a torrent file", DOWNLOAD),
    (0, b"Salted__", "a file encrypted by OpenSSL", DECRYPT),
    (0, b"age-encryption.org/", "a file encrypted by age", DECRYPT),
    (0, b"\x00GITCRYPT\x00", "a file encrypted by git-crypt", "git-crypt unlock"),
    (0, b"\x85\x01\x0c\x03", "a file encrypted by PGP", DECRYPT),
    (0, b"\x85\x02\x0c\x03", "a file encrypted by PGP", DECRYPT),
    (0, b"\x85\x04\x0c\x03", "a file encrypted by PGP", DECRYPT),
    (0, b"\x84\x8c\x03", "a file encrypted by PGP", DECRYPT),
    (0, b"\x84\x5e\x03", "a file encrypted by PGP", DECRYPT),
    (0, b"\x8c\x0d\x04\x07\x03", "a file encrypted by PGP", DECRYPT),
    (0, b"\x8c\x0d\x04\x09\x03", "a file encrypted by PGP", DECRYPT),
    (4, b"ftypaax ", "an Audible audiobook with copy protection (.aax)", DECRYPT),
    (4, b"ftypaaxc", "an Audible audiobook with copy protection (.aaxc)", DECRYPT),
    (4, b"ftypM4P ", "a file of iTunes with copy protection (.m4p)", DECRYPT),
    (4, b"\x57\x90\x75\x36", "an Audible audiobook with copy protection (.aa)", DECRYPT),
)


def has_audio_header(beginning: bytes) -> bool:
    """Returns whether a file begins with the magic bytes of a format of audio with a header.

    Args:
      beginning: First bytes of the file, at least 32 of a longer one.
    """
    return beginning.startswith(AUDIO_MAGICS) or beginning[4:8] in BOXES
