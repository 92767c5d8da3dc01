//! Says where libmoat is: `MOAT_LIB_DIR` (a folder with libmoat.a), the system's by pkg-config (feature `system`), or
//! built here by cmake from the source tree that this crate is in.
use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

fn run(command: &mut Command) -> String {
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("{:?}: {}", command, error));
    assert!(
        output.status.success(),
        "{:?}: {}",
        command,
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn link_static(dir: &Path) {
    println!("cargo:rustc-link-search=native={}", dir.display());
    println!("cargo:rustc-link-lib=static=moat");
}

fn link_system() {
    let flags = run(Command::new("pkg-config").args(["--libs", "moat"]));
    for flag in flags.split_whitespace() {
        if let Some(dir) = flag.strip_prefix("-L") {
            println!("cargo:rustc-link-search=native={}", dir);
        } else if let Some(name) = flag.strip_prefix("-l") {
            println!("cargo:rustc-link-lib=dylib={}", name);
        }
    }
}

fn build() -> PathBuf {
    let source = Path::new(&env::var("CARGO_MANIFEST_DIR").unwrap()).join("../..");
    let out = Path::new(&env::var("OUT_DIR").unwrap()).join("moat");
    println!("cargo:rerun-if-changed={}", source.join("src").display());
    println!(
        "cargo:rerun-if-changed={}",
        source.join("include").display()
    );
    let mut configure = Command::new("cmake");
    configure.arg("-S").arg(&source).arg("-B").arg(&out);
    run(configure.arg("-DMOAT_TESTS=OFF"));
    let mut make = Command::new("cmake");
    make.arg("--build").arg(&out);
    run(make.args(["--target", "moat_static", "--parallel", "2"]));
    out
}

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed=MOAT_LIB_DIR");
    if let Some(dir) = env::var_os("MOAT_LIB_DIR") {
        link_static(Path::new(&dir));
    } else if env::var_os("CARGO_FEATURE_SYSTEM").is_some() {
        link_system();
    } else {
        link_static(&build());
    }
}
