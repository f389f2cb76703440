//! Checks that need no database: the configuration, files, the disk, the rules.

use std::fs;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, access, statvfs};
use secrecy::ExposeSecret;

use super::{Check, Finding};
use crate::config::{Config, KEY_FILE};
use crate::rules::{self, Limits, RuleError};
use crate::store;

/// The least free space beside the database: about what a day of 100,000 messages takes.
const FREE_ERROR_BYTES: u64 = 200 * MIB;
const FREE_WARNING_BYTES: u64 = 1024 * MIB;
const MIB: u64 = 1024 * 1024;
/// Faults of rules that are shown. `recado check` shows all.
const RULE_FAULTS_MAX: usize = 20;

/// Examines the working directory.
pub fn examine(config: &Config, dir: &Path) -> Vec<Finding> {
    let mut findings = configuration(config);
    findings.extend(secrets(config, dir));
    if let Some(path) = store::sqlite_path(config.database_url.expose_secret()) {
        findings.extend(database_file(&dir.join(path)));
    }
    findings.extend(rules(config));
    findings
}

fn configuration(config: &Config) -> Vec<Finding> {
    let warning = |says: &String| {
        let finding = Finding::warning(Check::Configuration, "configuration", says);
        finding.remedy("'recado config' shows every key, its value and where that comes from")
    };
    let mut findings: Vec<Finding> = config.warnings.iter().map(warning).collect();
    if config.app_debug {
        let says = "webhooks are accepted without a signature: whoever reaches this port can write in anybody's name";
        findings.push(Finding::warning(Check::Configuration, "APP_DEBUG", says).remedy("set APP_DEBUG=false"));
    }
    if findings.is_empty() {
        findings.push(Finding::ok(Check::Configuration, "configuration", "every value is good"));
    }
    findings
}

/// Checks that other users of this machine cannot read files with secrets.
fn secrets(config: &Config, dir: &Path) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (name, what) in [(KEY_FILE, "the key of the tenants' tokens"), (".env", "the settings, tokens among them")] {
        if name == KEY_FILE && config.secret_key.is_some() {
            findings.push(Finding::ok(Check::SecretKey, "RECADO_SECRET_KEY", "set in the configuration"));
            continue;
        }
        let path = dir.join(name);
        match mode(&path) {
            Some(mode) if mode & 0o077 != 0 => findings.push(
                Finding::error(
                    Check::SecretKey,
                    name,
                    format!("{what}, can be read by other users of this machine (mode {:03o})", mode & 0o777),
                )
                .remedy(format!("chmod 600 {}", path.display())),
            ),
            Some(_) => findings.push(Finding::ok(Check::SecretKey, name, "readable by its owner only")),
            None if name == KEY_FILE => findings.push(
                Finding::note(Check::SecretKey, name, "not there yet: it is made when the server starts")
                    .remedy("then keep a copy of it, apart from the database's"),
            ),
            None => {}
        }
    }
    findings
}

/// The permission bits of a file, where the system has them.
fn mode(path: &Path) -> Option<u32> {
    use std::os::unix::fs::PermissionsExt;
    fs::metadata(path).ok().map(|file| file.permissions().mode())
}

fn database_file(path: &Path) -> Vec<Finding> {
    let shown = path.display().to_string();
    let folder = nearest_folder(path);
    let mut findings = vec![free_space(&folder)];
    if access(&folder, Access::WRITE_OK).is_err() {
        let says = format!("this user may not write into {}", folder.display());
        findings.push(
            Finding::error(Check::Database, &shown, says)
                .remedy("run Recado as the user who owns that folder, or change its owner"),
        );
    } else if path.exists() && access(path, Access::READ_OK | Access::WRITE_OK).is_err() {
        let remedy = "run Recado as the user who owns the file, or change its owner";
        findings
            .push(Finding::error(Check::Database, &shown, "this user may not read and write the file").remedy(remedy));
    }
    if let Some(mode) = mode(path).filter(|mode| mode & 0o007 != 0) {
        let says =
            format!("customers' messages can be read by other users of this machine (mode {:03o})", mode & 0o777);
        findings.push(Finding::warning(Check::Database, &shown, says).remedy(format!("chmod o= {shown}*")));
    }
    findings
}

/// The folder of a file, or the nearest existing one above it.
fn nearest_folder(path: &Path) -> PathBuf {
    let folder = path.ancestors().skip(1).find(|folder| folder.is_dir());
    folder.filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new(".")).to_owned()
}

fn free_space(folder: &Path) -> Finding {
    let subject = folder.display().to_string();
    match statvfs(folder) {
        Ok(disk) => judge_space(subject, disk.f_bavail.saturating_mul(disk.f_frsize)),
        Err(error) => Finding::warning(Check::Disk, subject, format!("its free space cannot be told: {error}")),
    }
}

fn judge_space(subject: String, free: u64) -> Finding {
    let says = format!("{} MiB are free", free / MIB);
    let remedy = "free some space, or move the database: on a full disk webhooks are refused and nothing is sent";
    if free < FREE_ERROR_BYTES {
        Finding::error(Check::Disk, subject, says).remedy(remedy)
    } else if free < FREE_WARNING_BYTES {
        Finding::warning(Check::Disk, subject, says).remedy(remedy)
    } else {
        Finding::ok(Check::Disk, subject, says)
    }
}

/// Runs `recado check` and `recado test`, and summarizes them.
fn rules(config: &Config) -> Vec<Finding> {
    let folder = config.rules_dir.display().to_string();
    let Some(dir) = config.rules_folder() else {
        let says = "there are no rules, as configured: nothing is ever answered by itself";
        return vec![Finding::note(Check::Rules, "RULES_DIR", says).remedy("set RULES_DIR to a folder of rules")];
    };
    let report = rules::load::check::check(dir, Limits::for_cases());
    let all = || report.findings.iter().chain(&report.cases.findings);
    let broken = all().filter(|finding| finding.is_error()).map(|error| (error.to_string(), "recado check"));
    let differing =
        report.cases.failed().map(|case| (format!("{}: {:?} differs", case.file, case.name), "recado test"));
    let error = |(says, command): (String, &str)| {
        let finding = Finding::error(Check::Rules, folder.as_str(), says);
        finding.remedy(format!("correct it; '{command}' shows all"))
    };
    let mut findings: Vec<Finding> = broken.chain(differing).map(error).take(RULE_FAULTS_MAX).collect();
    let warnings = all().filter(|finding| !RuleError::is_error(finding)).count();
    if warnings > 0 {
        let says = format!("{warnings} warnings");
        findings.push(Finding::warning(Check::Rules, folder.as_str(), says).remedy("'recado check' shows them"));
    }
    let live = report.rules.iter().filter(|rule| !rule.blueprint).count();
    if report.rules.is_empty() {
        let says = "there are no rules: nothing is ever answered";
        findings.push(
            Finding::warning(Check::Rules, folder, says).remedy("copy some from the source's rules/, or set RULES_DIR"),
        );
    } else if findings.is_empty() {
        let (blueprints, cases) = (report.rules.len() - live, report.cases.cases.len());
        let says = format!("{live} live rules and {blueprints} blueprints; all {cases} cases hold");
        findings.push(Finding::ok(Check::Rules, folder, says));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::doctor::Severity;

    #[test]
    fn little_space_is_said_in_time() {
        let check = |free, expect| assert_eq!(judge_space(String::new(), free).severity, expect, "{free}");
        check(0, Severity::Error);
        check(200 * MIB - 1, Severity::Error);
        check(200 * MIB, Severity::Warning);
        check(1024 * MIB, Severity::Ok);
    }
}
