//! Links the unwinder into the binary, so that it needs nothing at run time but glibc.
//!
//! For glibc the standard library asks the linker for the shared libgcc_s, whatever `-static-libgcc` says. A linker
//! script of that name, found before the library, answers with the static one.

use std::path::PathBuf;
use std::{env, fs};

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let target = |key: &str| env::var(key).unwrap_or_default();
    if target("CARGO_CFG_TARGET_OS") == "linux" && target("CARGO_CFG_TARGET_ENV") == "gnu" {
        let folder = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
        fs::write(folder.join("libgcc_s.so"), "INPUT(-lgcc_eh -lgcc)\n")
            .expect("OUT_DIR can be written");
        println!("cargo::rustc-link-search=native={}", folder.display());
    }
}
