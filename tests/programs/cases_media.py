"""Sound and pictures by the small tools, documents by the large ones."""
from harness import case


@case("jpeg", "cjpeg", "djpeg", "jpegtran")
def jpeg(t):
    """Encodes by three methods, turns without loss, decodes; cut files."""
    picture = t.input("picture.ppm")
    t.shell(
        f"cjpeg -quality 85 {picture} >a.jpg; cjpeg -progressive -optimize {picture} >b.jpg; cjpeg -arithmetic {picture} >c.jpg"
    )
    t.shell("jpegtran -rotate 90 -progressive a.jpg >turned.jpg; for f in *.jpg; do djpeg $f | sha256sum; done")
    t.shell("head -c 20000 b.jpg >cut.jpg; djpeg cut.jpg | sha256sum", status=None)


@case("webp", "cwebp", "dwebp")
def webp(t):
    """Encodes in two threads with loss and without, decodes; a cut file."""
    picture = t.input("picture.ppm")
    t.shell(
        f"cwebp -quiet -mt -q 70 {picture} -o a.webp; cwebp -quiet -lossless -m 2 {picture} -o b.webp; dwebp -quiet -mt b.webp -ppm -o b.ppm; cmp b.ppm {picture}"
    )
    t.shell("dwebp -quiet a.webp -o a.png; head -c 9000 a.webp >cut.webp; dwebp cut.webp -o cut.png", status=None)


@case("sound", "sox", "flac", "lame")
def sound(t):
    """Synthesises, mixes, resamples and filters; encodes to FLAC and MP3 and back; a cut file."""
    t.run(
        "sox", "-R", "-n", "-r", "44100", "a.wav", "synth", "4", "pluck", "C3", "synth", "4", "sine", "mix", "300-900"
    )
    t.run("sox", "-R", "-D", "a.wav", "b.wav", "rate", "22050", "reverb", "30", "tempo", "1.2", "lowpass", "3000")
    t.run(
        "sox", "-R", "-D", "--combine", "concatenate", "b.wav", "b.wav", "c.wav", "spectrogram", "-o", "c.png", "stat"
    )
    t.shell(
        "flac -s -5 --no-padding a.wav -o a.flac; flac -s -d a.flac -o back.wav; sox back.wav -t raw - | sha256sum; flac -s -t a.flac"
    )
    t.shell(
        "lame --quiet -V 4 b.wav b.mp3; lame --quiet --decode b.mp3 b2.wav; head -c 9000 a.flac >cut.flac; flac -s -t cut.flac",
        status=None,
    )


@case("optipng", "optipng", "djpeg", "gnuplot")
def optipng(t):
    """Plots functions and a surface with gnuplot; shrinks the pictures by trying every filter."""
    plot = "set term png size 500,400; set output 'a.png'; plot [0:9] sin(x**2), besj0(x); set output 'b.png'; set isosamples 40; splot x**2 - y**2"
    t.run("gnuplot", "-e", plot)
    t.shell("optipng -quiet -o2 a.png b.png; optipng -quiet -i1 -out c.png a.png; cksum *.png")


@case("exiv2", "exiv2", "cjpeg")
def exiv2(t):
    """Writes, reads and takes out Exif, IPTC and XMP of a picture; a broken one."""
    t.shell(f"cjpeg {t.input('picture.ppm')} >a.jpg")
    t.run(
        "exiv2",
        "-M",
        "set Exif.Photo.UserComment charset=Unicode größe",
        "-M",
        "set Xmp.dc.title lang=de Titel",
        "-M",
        "add Iptc.Application2.Keywords String moat",
        "a.jpg",
    )
    t.run("exiv2", "-pa", "a.jpg")
    t.run("exiv2", "-pS", "a.jpg")
    t.shell(
        "exiv2 -eX a.jpg; exiv2 -ea- a.jpg | sha256sum; exiv2 -da a.jpg; exiv2 -pa a.jpg; head -c 300 a.jpg >b.jpg; exiv2 -pS b.jpg",
        status=None,
    )


@case("ghostscript", "gs")
def ghostscript(t):
    """Draws 20 pages of a PDF, turns them into PostScript and back, runs a PostScript program."""
    pdf = t.input("document.pdf")
    quiet = ("gs", "-q", "-dBATCH", "-dNOPAUSE", "-dSAFER")
    t.run(*quiet, "-sDEVICE=ppmraw", "-r40", "-dLastPage=12", "-sOutputFile=page%d.ppm", pdf)
    t.run(*quiet, "-sDEVICE=ps2write", "-dLastPage=20", "-sOutputFile=pages.ps", pdf)
    t.run(*quiet, "-sDEVICE=txtwrite", "-sOutputFile=-", "pages.ps")
    program = "/d 99 dict def 0 1 5000 { dup 20 string cvs cvn exch 97 mod string d 3 1 roll put } for d length ="
    t.run(*quiet, "-dNODISPLAY", "-c", program + " 0 1 20000 { 100 mod string pop } for 2 vmreclaim (done) = quit")
    t.run(*quiet, "-sDEVICE=nullpage", t.input("broken.xml"), status=1, keep_out=False)
    t.ignore(r"\.ps$", "holds the time")


@case("mupdf", "mutool")
def mupdf(t):
    """Draws, cleans, converts and searches a PDF; mends a cut one."""
    pdf = t.input("document.pdf")
    t.shell(
        f"mutool draw -q -r 50 -o page%d.png {pdf} 1-12; mutool draw -q -F stext -o text.xml {pdf} 1-60; mutool info {pdf} | tail -n +2; mutool clean -ggg -z {pdf} clean.pdf; mutool pages clean.pdf | cksum",
        normalise=((r"/\S*document.pdf", "PDF"),),
    )
    t.shell(f"head -c 90000 {pdf} >cut.pdf; mutool draw -q -F text cut.pdf | cksum", status=None)


@case("qpdf")
def qpdf(t):
    """Linearises, encrypts, splits and merges a PDF, writes it as JSON; mends a cut one."""
    pdf = t.input("document.pdf")
    t.shell(
        f"qpdf --static-id --linearize {pdf} a.pdf; qpdf --check-linearization a.pdf; qpdf --deterministic-id --object-streams=generate {pdf} b.pdf; qpdf --json b.pdf | cksum"
    )
    t.shell(
        "qpdf --static-id --static-aes-iv --encrypt u o 256 -- b.pdf secret.pdf; qpdf --password=u --decrypt --static-id secret.pdf open.pdf; qpdf --check open.pdf; qpdf --static-id --empty --pages a.pdf 1-9 b.pdf z-20 -- merged.pdf; qpdf --show-npages merged.pdf"
    )
    t.shell("head -c 90000 a.pdf >cut.pdf; qpdf --static-id cut.pdf mended.pdf", status=None)
    t.ignore("secret.pdf", "the key is drawn at random")


@case("groff", "groff", "man")
def groff(t):
    """Sets manual pages as text, PostScript and HTML: tables, equations, macros."""
    page = ".TH X 1\n.SH NAME\nx\n" + "".join(
        f".SS part {n}\n.TP\n.B opt{n}\n{'word ' * (n % 40)}\n" for n in range(400)
    )
    table_ = (
        ".TS\nallbox; l c r.\n"
        + "".join(f"a{n}\tb\t{n * n}\n" for n in range(60))
        + ".TE\n.EQ\nx sup 2 over y sqrt z\n.EN\n"
    )
    (t.work / "x.1").write_text(page + table_)
    t.run("groff", "-t", "-e", "-man", "-Tutf8", "x.1")
    t.run("groff", "-t", "-e", "-man", "-Tps", "x.1", normalise=((r"(?m)^%%CreationDate.*$", ""),))
    t.run("man", "-l", "x.1", env={"MANWIDTH": "70"})


@case("graphviz", "dot", extra=(("fonts-dejavu-core", "/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf"),))
def graphviz(t):
    """Lays out 300 nodes in layers and 80 by springs, draws SVG and PNG."""
    edges = "".join(f"n{n} -> n{n * 7 % 150}; n{n} -> n{(n * n + 3) % 150};" for n in range(150))
    (t.work / "a.dot").write_text("digraph { " + edges + "n3 [label=<<table><tr><td>größe</td></tr></table>>]; }")
    t.run("dot", "-Tsvg", "a.dot", "-o", "a.svg")
    t.run("dot", "-Tplain", "a.dot")
    t.run("dot", "-Kneato", "-Gstart=7", "-Tpng", "a.dot", "-o", "b.png")
    t.run("dot", "-Tsvg", t.input("broken.xml"), status=1)


@case("rsvg", "rsvg-convert")
def rsvg(t):
    """Draws generated SVG with gradients, filters, text and clipping as PNG, PDF and SVG; a broken one."""
    shapes = "".join(
        f'<g transform="rotate({n} 200 200)"><circle cx="{n * 3 % 400}" cy="{n * 7 % 400}" r="{n % 30}" fill="url(#g)" '
        f'opacity=".5"/><text x="{n}" y="{n * 2}">t{n}</text></g>'
        for n in range(200)
    )
    head = '<svg xmlns="http://www.w3.org/2000/svg" width="400" height="400"><defs><linearGradient id="g"><stop offset="0" stop-color="red"/><stop offset="1" stop-color="blue"/></linearGradient><filter id="f"><feGaussianBlur stdDeviation="2"/></filter></defs>'
    (t.work / "a.svg").write_text(head + f'<g filter="url(#f)">{shapes}</g></svg>')
    t.run("rsvg-convert", "a.svg", "-o", "a.png")
    t.run("rsvg-convert", "-f", "svg", "-z", "2", "a.svg", "-o", "b.svg")
    t.shell("head -c 9000 a.svg >cut.svg; rsvg-convert cut.svg -o cut.png", status=1)


@case(
    "tesseract",
    "tesseract",
    "pdftoppm",
    extra=(("tesseract-ocr-eng", "/usr/share/tesseract-ocr/5/tessdata/eng.traineddata"),),
)
def tesseract(t):
    """Reads a drawn page of text back in one thread, as text and as boxes."""
    t.shell(f"pdftoppm -r 110 -f 3 -l 3 -y 0 -H 500 -x 0 -W 900 -gray {t.input('document.pdf')} page")
    env = {"OMP_THREAD_LIMIT": "1"}
    t.shell("tesseract page*.pgm out --dpi 110 txt hocr", env=env, keep_err=False)


@case("latex", "pdftex", extra=(("texlive-latex-base", "/usr/share/texlive/texmf-dist/tex/latex/base/article.cls"),))
def latex(t):
    """Sets 60 pages with mathematics, tables, references and a table of contents, twice."""
    body = "".join(
        f"\\section{{Part {n}}}\\label{{s{n}}} See \\ref{{s{(n + 7) % 60}}}. "
        + "Words of the text, set in lines. " * 60
        + f"\\[ \\sum_{{i=1}}^{{{n}}} \\frac{{x_i^{n}}}{{\\sqrt{{1+y}}}} \\] \\begin{{tabular}}{{|l|r|}} a & {n} \\\\ b & c \\end{{tabular}}\n\n"
        for n in range(60)
    )
    (t.work / "a.tex").write_text(
        "\\documentclass{article}\\begin{document}\\tableofcontents " + body + "\\end{document}"
    )
    for _ in range(2):
        t.run("pdflatex", "-interaction=batchmode", "a.tex", env={"FORCE_SOURCE_DATE": "1"})
    t.ignore(r"\.log$", "counts memory and names the kernel's time")


@case(
    "libreoffice",
    "soffice",
    "pdftotext",
    extra=(
        ("libreoffice-calc-nogui", "/usr/lib/libreoffice/program/libsclo.so"),
        ("libreoffice-writer-nogui", "/usr/lib/libreoffice/program/libswlo.so"),
    ),
)
def libreoffice(t):
    """Opens a page and a table of formulas without a screen, writes ODT, PDF and a spreadsheet, reads it back."""
    rows = "".join(f"{n},{n * n % 97},=A{n}*B{n}+SUM(B$1:B{n}),name {n}\n" for n in range(1, 400))
    (t.work / "table.csv").write_text(rows)
    (t.work / "page.html").write_text(
        "<html><h1>Title</h1>" + "".join(f"<p>Part {n} <b>größe</b> {'word ' * n}</p>" for n in range(60))
    )
    office = ("soffice", f"-env:UserInstallation=file://{t.work}/profile", "--headless", "--norestore", "--convert-to")
    t.run(*office, "odt", "--outdir", "out", "page.html", keep_err=False)
    t.run(*office, "pdf", "--outdir", "out", "out/page.odt", keep_err=False)
    t.run("pdftotext", "-layout", "out/page.pdf", "-")
    t.run(*office, "ods", "--outdir", "out", "table.csv", keep_err=False)
    t.run(*office, "csv", "--outdir", "back", "out/table.ods", keep_err=False)
    t.ignore(r"^profile|\.od[ts]$|\.pdf$|^\.cache|^\.config|\.tmp", "holds times and identifiers")


@case("pandoc", "pandoc")
def pandoc(t):
    """Converts 25,000 words of Markdown to HTML, LaTeX and a native tree, and back."""
    text = "".join(
        f"## Part {n}\n\n{'*word* `code` '* (n % 30)}[^{n}]\n\n- a\n- b\n\n[^{n}]: note\n\n| a | b |\n|---|---|\n| {n} | c |\n\n"
        for n in range(120)
    )
    (t.work / "a.md").write_text(text)
    for kind in ("html", "latex", "json"):
        t.run("pandoc", "-f", "markdown", "-t", kind, "a.md", "-o", "a." + kind)
    t.run("pandoc", "-f", "html", "-t", "rst", "a.html")
