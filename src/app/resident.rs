//! What of the program lies in memory while it only waits.

use std::time::Duration;

use crate::domain::Clock;

/// The start is over then, and so are the first rounds of the loops.
const SETTLED_AFTER: Duration = Duration::from_millis(1_500);

/// Hands back, once, what the start has used: reading the configuration, migrating, compiling rules take memory that is
/// free afterwards, and much code that is not run again. Free memory goes back to the machine; the code's pages, which stay
/// in the system's cache of the file, only leave this process, and come back as they are needed.
pub async fn give_back_once_settled(clock: Clock) {
    clock.sleep(SETTLED_AFTER).await;
    if let Some(code) = std::fs::read_to_string("/proc/self/maps").ok().as_deref().and_then(own_code) {
        system::unmap(code);
    }
    system::trim_heap();
}

/// From where to where the program's own code lies, of what `/proc/self/maps` says; its first line is the program's (else
/// nothing is found).
fn own_code(maps: &str) -> Option<(usize, usize)> {
    let fields = |line: &str| -> Option<(String, String, String)> {
        let mut words = line.split_ascii_whitespace().map(str::to_owned);
        Some((words.next()?, words.next()?, words.nth(3)?))
    };
    let (.., program) = fields(maps.lines().next()?)?;
    let mut code = maps.lines().filter_map(fields).filter(|(_, rights, path)| rights == "r-xp" && *path == program);
    let (range, ..) = code.next()?;
    let (start, end) = range.split_once('-')?;
    Some((usize::from_str_radix(start, 16).ok()?, usize::from_str_radix(end, 16).ok()?))
}

#[cfg(target_os = "linux")]
mod system {
    /// Lets the system forget that these pages of code were touched; it maps sixteen for each that is, so that after a start
    /// nearly all are there. Breakpoints that a debugger has set by then are lost.
    pub fn unmap((start, end): (usize, usize)) {
        // SAFETY: the range is a mapping of the program's file that the program cannot write to: its pages come back from the
        // file as they were.
        unsafe { libc::madvise(start as *mut libc::c_void, end.saturating_sub(start), libc::MADV_DONTNEED) };
    }

    /// Gives freed memory back that the allocator keeps for later.
    pub fn trim_heap() {
        // SAFETY: it takes the allocator's own locks, and touches free memory only.
        #[cfg(target_env = "gnu")]
        unsafe {
            libc::malloc_trim(0)
        };
    }
}

#[cfg(not(target_os = "linux"))]
mod system {
    pub fn unmap(_: (usize, usize)) {}
    pub fn trim_heap() {}
}

#[cfg(test)]
mod tests {
    use super::own_code;

    #[test]
    fn the_programs_code_is_found_and_nothing_else() {
        let maps = "\
55d0c0000000-55d0c0f00000 r--p 00000000 fe:00 1 /usr/bin/recado
55d0c0f00000-55d0c3000000 r-xp 00f00000 fe:00 1 /usr/bin/recado
55d0c3000000-55d0c3200000 r--p 03000000 fe:00 1 /usr/bin/recado
55d0c4000000-55d0c4600000 rw-p 00000000 00:00 0 [heap]
7f0000000000-7f0000100000 r-xp 00000000 fe:00 2 /usr/lib/libc.so.6
";
        assert_eq!(own_code(maps), Some((0x55d0_c0f0_0000, 0x55d0_c300_0000)));
        let only_foreign: String =
            maps.lines().filter(|line| !line.contains("00f00000")).map(|l| l.to_owned() + "\n").collect();
        assert_eq!(own_code(&only_foreign), None);
        assert_eq!(own_code(""), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn it_is_where_functions_are_and_can_be_dropped_while_they_run() {
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
        let (start, end) = own_code(&maps).unwrap();
        assert!((start..end).contains(&(own_code as *const () as usize)));
        super::system::unmap((start, end));
        super::system::trim_heap();
        assert_eq!(own_code(&maps), Some((start, end)), "code comes back as it is called");
    }
}
