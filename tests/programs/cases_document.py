"""Pictures, sound, film, documents."""
from harness import case

# -bitexact leaves version strings and random identifiers out of the files.
EXACT = ("-map_metadata", "-1", "-fflags", "+bitexact", "-flags:v", "+bitexact", "-flags:a", "+bitexact")


@case("ffmpeg", "ffmpeg", "ffprobe")
def ffmpeg(t):
    """Encodes, scales and decodes film and sound in five codecs."""
    quiet = ("ffmpeg", "-nostdin", "-v", "error", "-y")
    t.run(
        *quiet,
        "-f",
        "lavfi",
        "-i",
        "testsrc2=size=320x240:rate=25:duration=4",
        "-f",
        "lavfi",
        "-i",
        "sine=frequency=440:duration=4",
        "-c:v",
        "mpeg4",
        "-threads",
        "2",
        "-c:a",
        "aac",
        *EXACT,
        "film.mp4",
    )
    t.run(*quiet, "-i", "film.mp4", "-vf", "scale=160:120,hue=s=0", "-c:v", "ffv1", "-c:a", "flac", *EXACT, "film.mkv")
    t.run(*quiet, "-i", "film.mkv", "-f", "framemd5", "frames.md5")
    t.run("ffprobe", "-v", "error", "-show_format", "-show_streams", "-show_packets", "-of", "json", "film.mp4")
    t.run("ffprobe", "-v", "error", "-show_format", "-show_streams", "-show_frames", "-of", "xml", "film.mkv")
    t.run(
        "ffprobe", "-v", "error", "-show_format", t.input("text.txt"), status=None, keep_err=False
    )  # names an address


@case("pdftotext")
def pdftotext(t):
    """Takes the text and its boxes out of a PDF, whole and cut short."""
    t.run("pdftotext", "-layout", t.input("document.pdf"), "-")
    t.run("pdftotext", "-bbox", t.input("document.pdf"), "boxes.html")
    t.shell(f"head -c 60000 {t.input('document.pdf')} > cut.pdf; pdftotext cut.pdf -", status=None)


@case("imagemagick", "identify", "convert")
def imagemagick(t):
    """Converts, turns, blurs and measures pictures."""
    # Times in metadata and of the file are left out; the pixels and the rest of each file are compared.
    plain = ("-strip", "-define", "png:exclude-chunks=date,time")
    t.run("convert", t.input("picture.ppm"), *plain, "picture.png")
    t.run("convert", "picture.png", "-resize", "50%", "-rotate", "17", "-blur", "0x2", *plain, "turned.png")
    t.run("convert", "picture.png", "-quality", "80", "-strip", "picture.jpg")
    t.run("convert", "picture.png", "-colors", "64", *plain, "picture.gif")
    t.run(
        "convert",
        "-size",
        "300x200",
        "plasma:red-blue",
        "-seed",
        "5",
        "-crop",
        "100x100",
        "+repage",
        *plain,
        "tile%d.png",
        status=None,
    )
    t.ignore(r"^tile", "plasma is random in spite of a seed given after it")
    t.run(
        "identify",
        "-format",
        "%m %w %h %k %[mean] %[standard-deviation]\n",
        "picture.png",
        "turned.png",
        "picture.jpg",
        "picture.gif",
    )
    t.run(
        "identify",
        "-verbose",
        "picture.jpg",
        normalise=((r"(?m)^.*(date:|User time|Elapsed time|Pixels per second).*$\n", ""),),
    )
    t.shell(
        f"head -c 20000 {t.input('picture.ppm')} > cut.ppm; identify -verbose cut.ppm >/dev/null",
        status=None,
        keep_err=False,
    )


@case("exiftool", "exiftool", "ffmpeg")
def exiftool(t):
    """Reads and writes metadata of pictures, film, PDF and certificates."""
    t.run(
        "ffmpeg",
        "-nostdin",
        "-v",
        "error",
        "-f",
        "lavfi",
        "-i",
        "testsrc2=size=320x240:rate=5:duration=1",
        *EXACT,
        "film.mp4",
    )
    t.run("ffmpeg", "-nostdin", "-v", "error", "-i", "film.mp4", "-frames:v", "1", *EXACT, "frame.jpg")
    # System: holds the times at which the files were made and read.
    for path in (t.input("document.pdf"), t.input("picture.ppm"), "film.mp4", "frame.jpg", t.input("keys") + "/ca.pem"):
        t.run("exiftool", "-G1", "-a", "--System:all", path, status=None)
    t.run("exiftool", "-Artist=moat", "-Comment=öäü", "-GPSLatitude=12.5", "-overwrite_original", "frame.jpg")
    t.run("exiftool", "-j", "-G", "--System:all", "frame.jpg")
    t.shell(f"exiftool -r -q --System:all -FileType -MIMEType {t.input('tree')} | sort | uniq -c", status=None)
