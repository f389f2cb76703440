//! The program. The library contains everything it does.

use std::process::ExitCode;

/// Most memory of a message is taken by one thread and given back by another, where the allocator of glibc is slow. How it is
/// set, above all to give back soon what is free, stands in `.cargo/config.toml`.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    recado::cli::commands::main()
}
