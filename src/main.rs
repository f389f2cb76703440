//! The program. The library contains everything it does.

use std::process::ExitCode;

/// Most memory of a message is taken by one thread and given back by another, where the allocator of glibc is slow.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    recado::cli::commands::main()
}
