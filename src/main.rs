//! The program. The library contains everything it does.

use std::process::ExitCode;

/// How it is set, above all to give back soon what is free, stands in `.cargo/config.toml`.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    recado::cli::commands::main()
}
