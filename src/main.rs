//! The commands, nothing else.

fn main() -> std::process::ExitCode {
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("recado: the runtime cannot be started: {error}");
            return std::process::ExitCode::FAILURE;
        }
    };
    let stop = async {
        let _ = tokio::signal::ctrl_c().await;
    };
    match runtime.block_on(recado::app::serve(std::path::Path::new("."), stop)) {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("recado: {error}");
            std::process::ExitCode::FAILURE
        }
    }
}
