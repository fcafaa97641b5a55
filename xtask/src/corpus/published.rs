//! Modules as others publish them: big ones, of several producers. Most want a host that is not WASI,
//! so they are compiled and not run.

use std::path::PathBuf;
use std::process::Command;

use super::dir;
use super::stamp::sha256;
use crate::Result;
use crate::process::{output, read, write};

/// A module in a package of the npm registry.
pub(crate) struct Module {
    pub(crate) name: &'static str,
    pub(crate) package: &'static str,
    pub(crate) version: &'static str,
    /// The file in the package.
    pub(crate) member: &'static str,
    /// That file's SHA-256.
    pub(crate) sha256: &'static str,
    /// What it is, and what it needs of an engine beyond WebAssembly's first version.
    pub(crate) note: &'static str,
}

/// All of them.
pub(crate) const ALL: &[Module] = &[
    Module {
        name: "ruby",
        package: "@ruby/3.4-wasm-wasi",
        version: "2.10.1",
        member: "dist/ruby.wasm",
        sha256: "e64fa4c82cbbb62044648b0a15b96f3486ff3ecbab7bb7a3df11b4ee3e907ddc",
        note: "clang; WASI and a JavaScript host",
    },
    Module {
        name: "esbuild",
        package: "esbuild-wasm",
        version: "0.28.2",
        member: "esbuild.wasm",
        sha256: "b1831a5c0f6cf688034fb94d0419812f165ea316a3380d3fc00a151e562d2eaf",
        note: "Go's compiler and its JavaScript host",
    },
    Module {
        name: "duckdb",
        package: "@duckdb/duckdb-wasm",
        version: "1.32.0",
        member: "dist/duckdb-mvp.wasm",
        sha256: "45d72a81fba8e57693d890da837c7041310e385e75619a8559839b15388dfe97",
        note: "Emscripten, its JavaScript host",
    },
    Module {
        name: "sqlite3",
        package: "@sqlite.org/sqlite-wasm",
        version: "3.41.2",
        member: "sqlite-wasm/jswasm/sqlite3.wasm",
        sha256: "2d34bf9279985db154f98bfab9ffa289b014821873ed188b67e3a4c5d1b7faec",
        note: "Emscripten, its JavaScript host",
    },
];

/// Where a module is.
pub(crate) fn path(module: &Module) -> PathBuf {
    dir().join("wasm/published").join(format!("{}.wasm", module.name))
}

/// Has npm download a module's package and takes the module out of it, if it is not there already.
///
/// # Errors
/// When the package cannot be had, or the module is not the pinned one.
pub(crate) fn fetch(module: &Module) -> Result {
    let path = path(module);
    if read(&path).is_ok_and(|bytes| sha256(&bytes) == module.sha256) {
        return Ok(());
    }
    let what = format!("fetching {} {}", module.package, module.version);
    println!("corpus: {what}");
    let downloads = dir().join("src/npm").join(module.name);
    std::fs::create_dir_all(&downloads)
        .map_err(|e| format!("cannot make {}: {e}", downloads.display()))?;
    let retry = format!("again: cargo xtask corpus {}", module.name);
    // npm checks the archive against the registry's hash; the module is checked against ours below.
    let name = output(
        &format!("{what} with npm"),
        Command::new("npm")
            .args(["pack", "--silent", &format!("{}@{}", module.package, module.version)])
            .arg("--pack-destination")
            .arg(&downloads)
            .current_dir(&downloads),
    )
    .map_err(|e| format!("{e}\nnpm is needed; {retry}"))?;
    let archive = downloads.join(String::from_utf8_lossy(&name).trim());
    let bytes = output(
        &format!("unpacking {}", archive.display()),
        Command::new("tar").arg("-xzOf").arg(&archive).arg(format!("package/{}", module.member)),
    )
    .map_err(|e| format!("{e}\n{retry}"))?;
    let found = sha256(&bytes);
    if found != module.sha256 {
        return Err(format!(
            "{what}: {} has SHA-256 {found}, pinned is {}",
            module.member, module.sha256
        ));
    }
    write(&path, &bytes)
}
