//! Empty: the manifest beside this file names the crates whose C sources the corpus is built from.
