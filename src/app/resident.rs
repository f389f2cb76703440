//! What of the program lies in memory while it only waits.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use crate::domain::Clock;

/// The start is over then, and so are the first rounds of the loops.
const SETTLED_AFTER: Duration = Duration::from_millis(1_500);
/// How often it is looked whether the program rests.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// It rests where it worked no longer than this between two looks, on all processors together; its loops alone take half.
const AT_REST: Duration = Duration::from_millis(200);

/// Hands back the code that the start has used, and that work has whenever the program rests after it: much of it is not
/// run soon again. Its pages stay in the system's cache of the file; they only leave this process, and come back as they
/// are needed (a few hundred faults, some 1 ms). Free memory the allocator gives back by itself. Goes on until dropped.
pub async fn give_back_at_rest(clock: Clock) {
    clock.sleep(SETTLED_AFTER).await;
    loop {
        give_back();
        loop {
            let before = worked();
            clock.sleep(LOOK_EVERY).await;
            if worked().saturating_sub(before) <= AT_REST {
                break;
            }
        }
    }
}

fn give_back() {
    if let Some(code) = std::fs::read_to_string("/proc/self/maps").ok().as_deref().and_then(own_code) {
        // SAFETY: it is what `own_code` has found. Refused, it all stays where it is.
        let _ = unsafe { system::unmap(code) };
    }
}

/// Processor time of the whole program since its start.
fn worked() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec.unsigned_abs() as u32)
}

/// From where to where the program's own code lies, and the constants before it, of what `/proc/self/maps` says; its first
/// line is the program's (else nothing is found). What stands behind the code may have been written to by the loader.
fn own_code(maps: &str) -> Option<(usize, usize)> {
    let fields = |line: &str| -> Option<(usize, usize, String, String)> {
        let mut words = line.split_ascii_whitespace();
        let (start, end) = words.next()?.split_once('-')?;
        let (start, end) = (usize::from_str_radix(start, 16).ok()?, usize::from_str_radix(end, 16).ok()?);
        Some((start, end, words.next()?.to_owned(), words.nth(3)?.to_owned()))
    };
    let (first, first_end, first_rights, program) = fields(maps.lines().next()?)?;
    let mut all = maps.lines().filter_map(fields);
    let (start, end, ..) = all.find(|(.., rights, path)| rights == "r-xp" && *path == program)?;
    let constants = first_rights == "r--p" && first_end == start;
    Some((if constants { first } else { start }, end))
}

#[cfg(target_os = "linux")]
mod system {
    use rustix::mm::{Advice, madvise};

    /// Lets the system forget that these pages were touched; it maps sixteen for each that is, so that after a start nearly
    /// all are there. Breakpoints that a debugger has set in them are lost, each time.
    ///
    /// # Safety
    ///
    /// The range is the program's own file, mapped and never written to, by the loader either: its pages come back from the
    /// file as they were. (A new version is to be put in the file's place, never written into it; Linux refuses that.)
    pub unsafe fn unmap((start, end): (usize, usize)) -> std::io::Result<()> {
        // SAFETY: as the caller says.
        Ok(unsafe { madvise(start as *mut std::ffi::c_void, end.saturating_sub(start), Advice::LinuxDontNeed) }?)
    }
}

#[cfg(not(target_os = "linux"))]
mod system {
    /// # Safety
    ///
    /// None is needed.
    pub unsafe fn unmap(_: (usize, usize)) -> std::io::Result<()> {
        Ok(())
    }
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
        assert_eq!(own_code(maps), Some((0x55d0_c000_0000, 0x55d0_c300_0000)));
        let apart = maps.replace("55d0c0000000-55d0c0f00000", "55d0c0000000-55d0c0e00000");
        assert_eq!(own_code(&apart), Some((0x55d0_c0f0_0000, 0x55d0_c300_0000)));
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
        // SAFETY: as in `give_back`.
        unsafe { super::system::unmap((start, end)) }.expect("the system does it");
        assert_eq!(own_code(&maps), Some((start, end)), "code comes back as it is called");
    }
}
