//! The programs that are built: where their sources are, how they are compiled, and how they are run.

use std::path::Path;

use super::stamp;
use crate::{Result, root};

/// A program of the corpus.
pub(crate) struct Program {
    pub(crate) name: String,
    /// The crate that its library comes with.
    pub(crate) package: Option<&'static str>,
    /// C files in that crate; `DIR/*.c` stands for all in a directory.
    pub(crate) sources: Vec<&'static str>,
    /// C files of ours, under `corpus/`.
    pub(crate) drivers: Vec<String>,
    /// Directories of the crate that are searched for headers.
    pub(crate) includes: Vec<&'static str>,
    /// Further options of the compiler, for every variant.
    pub(crate) flags: Vec<&'static str>,
    pub(crate) runs: Vec<Run>,
}

/// One way to run a program.
pub(crate) struct Run {
    /// Its name within the program's; empty where there is one way.
    pub(crate) name: &'static str,
    pub(crate) args: &'static [&'static str],
    pub(crate) mapped: Mapped,
}

/// The directory that a run finds as its root.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mapped {
    /// None.
    Nothing,
    /// A directory under `corpus/`, which it reads.
    Scripts(&'static str),
    /// An empty one of its own, which it writes to.
    Scratch,
}

impl Program {
    /// The name of a run: the program's, and the run's where there are several.
    pub(crate) fn run_name(&self, run: &Run) -> String {
        if run.name.is_empty() { self.name.clone() } else { format!("{}/{}", self.name, run.name) }
    }

    /// The source files: the crate's, found under `package`, and ours.
    ///
    /// # Errors
    /// When a directory of the crate cannot be listed.
    pub(crate) fn files(&self, package: Option<&Path>) -> Result<Vec<std::path::PathBuf>> {
        let mut files = Vec::new();
        for source in &self.sources {
            let Some(package) = package else { continue };
            match source.strip_suffix("/*.c") {
                Some(dir) => files.extend(
                    stamp::sorted(&package.join(dir))?
                        .into_iter()
                        .filter(|path| path.extension().is_some_and(|e| e == "c")),
                ),
                None => files.push(package.join(source)),
            }
        }
        files.extend(self.drivers.iter().map(|driver| root().join("corpus").join(driver)));
        Ok(files)
    }
}

fn run(name: &'static str, args: &'static [&'static str], mapped: Mapped) -> Run {
    Run { name, args, mapped }
}

fn once() -> Vec<Run> {
    vec![run("", &[], Mapped::Nothing)]
}

/// All programs: the libraries first, then the kernels in order of their names.
///
/// # Errors
/// When `corpus/kernels` cannot be listed.
pub(crate) fn all() -> Result<Vec<Program>> {
    let js = Mapped::Scripts("js");
    let lua = Mapped::Scripts("lua");
    let mut programs = vec![
        Program {
            name: "sqlite".into(),
            package: Some("libsqlite3-sys"),
            sources: vec!["sqlite3/sqlite3.c"],
            drivers: vec!["drivers/sqlite_driver.c".into()],
            includes: vec!["sqlite3"],
            flags: vec![
                "-DSQLITE_THREADSAFE=0",
                "-DSQLITE_OMIT_LOAD_EXTENSION",
                "-DSQLITE_OMIT_WAL",
                "-DSQLITE_TEMP_STORE=3",
                "-DSQLITE_MAX_MMAP_SIZE=0",
                "-DSQLITE_ENABLE_FTS5",
                "-DSQLITE_ENABLE_RTREE",
                "-DSQLITE_DEFAULT_MEMSTATUS=0",
            ],
            runs: vec![
                run("memory", &[], Mapped::Nothing),
                run("file", &["shop.db"], Mapped::Scratch),
            ],
        },
        Program {
            name: "quickjs".into(),
            package: Some("rquickjs-sys"),
            sources: vec![
                "quickjs/quickjs.c",
                "quickjs/libregexp.c",
                "quickjs/libunicode.c",
                "quickjs/dtoa.c",
            ],
            drivers: vec!["drivers/quickjs_driver.c".into()],
            includes: vec!["quickjs"],
            flags: vec!["-D_GNU_SOURCE"],
            runs: vec![
                run("language", &["language.mjs"], js),
                run("throws", &["throws.mjs"], js),
                run("exits", &["exits.mjs"], js),
                run("richards", &["richards.mjs"], js),
                run("numeric", &["numeric.mjs"], js),
                run("text", &["text.mjs"], js),
            ],
        },
        Program {
            name: "lua".into(),
            package: Some("lua-src"),
            sources: vec![
                "lua-5.4.9/lapi.c",
                "lua-5.4.9/lauxlib.c",
                "lua-5.4.9/lbaselib.c",
                "lua-5.4.9/lcode.c",
                "lua-5.4.9/lcorolib.c",
                "lua-5.4.9/lctype.c",
                "lua-5.4.9/ldblib.c",
                "lua-5.4.9/ldebug.c",
                "lua-5.4.9/ldo.c",
                "lua-5.4.9/ldump.c",
                "lua-5.4.9/lfunc.c",
                "lua-5.4.9/lgc.c",
                "lua-5.4.9/llex.c",
                "lua-5.4.9/lmathlib.c",
                "lua-5.4.9/lmem.c",
                "lua-5.4.9/loadlib.c",
                "lua-5.4.9/lobject.c",
                "lua-5.4.9/lopcodes.c",
                "lua-5.4.9/lparser.c",
                "lua-5.4.9/lstate.c",
                "lua-5.4.9/lstring.c",
                "lua-5.4.9/lstrlib.c",
                "lua-5.4.9/ltable.c",
                "lua-5.4.9/ltablib.c",
                "lua-5.4.9/ltm.c",
                "lua-5.4.9/lundump.c",
                "lua-5.4.9/lutf8lib.c",
                "lua-5.4.9/lvm.c",
                "lua-5.4.9/lzio.c",
            ],
            drivers: vec!["drivers/lua_driver.c".into()],
            includes: vec!["lua-5.4.9"],
            flags: vec!["-includelua_config.h", "-Ilua_shim"],
            runs: vec![run("language", &["language.lua"], lua), run("bench", &["bench.lua"], lua)],
        },
        Program {
            name: "zstd".into(),
            package: Some("zstd-sys"),
            sources: vec![
                "zstd/lib/common/*.c",
                "zstd/lib/compress/*.c",
                "zstd/lib/decompress/*.c",
            ],
            drivers: vec!["drivers/zstd_driver.c".into()],
            includes: vec!["zstd/lib"],
            flags: vec!["-DZSTD_DISABLE_ASM"],
            runs: once(),
        },
        Program {
            name: "bzip2".into(),
            package: Some("bzip2-sys"),
            sources: vec![
                "bzip2-1.0.8/blocksort.c",
                "bzip2-1.0.8/bzlib.c",
                "bzip2-1.0.8/compress.c",
                "bzip2-1.0.8/crctable.c",
                "bzip2-1.0.8/decompress.c",
                "bzip2-1.0.8/huffman.c",
                "bzip2-1.0.8/randtable.c",
            ],
            drivers: vec!["drivers/bzip2_driver.c".into()],
            includes: vec!["bzip2-1.0.8"],
            flags: vec!["-DBZ_NO_STDIO"],
            runs: once(),
        },
        Program {
            name: "lz4".into(),
            package: Some("lz4-sys"),
            sources: vec![
                "liblz4/lib/lz4.c",
                "liblz4/lib/lz4frame.c",
                "liblz4/lib/lz4hc.c",
                "liblz4/lib/xxhash.c",
            ],
            drivers: vec!["drivers/lz4_driver.c".into()],
            includes: vec!["liblz4/lib"],
            flags: vec![],
            runs: once(),
        },
    ];
    for file in stamp::sorted(&root().join("corpus/kernels"))? {
        let Some(name) = file.file_stem().and_then(|stem| stem.to_str()) else { continue };
        programs.push(Program {
            name: format!("k-{name}"),
            package: None,
            sources: vec![],
            drivers: vec![format!("kernels/{name}.c")],
            includes: vec![],
            flags: vec![],
            runs: once(),
        });
    }
    Ok(programs)
}
