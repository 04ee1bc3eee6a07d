//! Which file a plugin may be loaded from: one the operator put there, and no other.

use std::{
    ffi::OsStr,
    fs,
    os::unix::{ffi::OsStrExt, fs::MetadataExt},
    path::Path,
};

use tautline_protocol::ErrorCode;

use super::failure::Failure;

/// Checks a plugin's path: absolute, without `..`, directly or deeper inside `directory`, with no
/// symbolic link on the way, a regular file of our own that nobody else can write.
pub(super) fn check(path: &[u8], directory: Option<&Path>) -> Result<(), Failure> {
    let refuse = |why: &'static str| Err(Failure::new(ErrorCode::InvalidPath, why));
    let path = Path::new(OsStr::from_bytes(path));
    let Some(directory) = directory else {
        return refuse("no plugin directory is configured");
    };
    if !path.is_absolute() {
        return refuse("a plugin's path must be absolute");
    }
    let Ok(inside) = path.strip_prefix(directory) else {
        return refuse("a plugin must be inside the configured plugin directory");
    };
    let mut at = directory.to_path_buf();
    for part in inside.components() {
        let std::path::Component::Normal(part) = part else {
            return refuse("a plugin's path must not contain . or ..");
        };
        at.push(part);
        match fs::symlink_metadata(&at) {
            Ok(metadata) if metadata.is_symlink() => {
                return refuse("a plugin's path must not lead through a symbolic link");
            }
            Ok(_) => {}
            Err(error) => return Err(Failure::system("look at the plugin", &error)),
        }
    }
    let metadata = fs::symlink_metadata(path)
        .map_err(|error| Failure::system("look at the plugin", &error))?;
    if !metadata.is_file() {
        return refuse("a plugin must be a regular file");
    }
    if metadata.uid() != rustix::process::geteuid().as_raw() {
        return refuse("a plugin must belong to the engine's user");
    }
    if metadata.mode() & 0o022 != 0 {
        return refuse("a plugin must not be writable by others");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    fn why(path: &Path, directory: &Path) -> String {
        match check(path.as_os_str().as_bytes(), Some(directory)) {
            Ok(()) => "accepted".into(),
            Err(failure) => failure.text.into_owned(),
        }
    }

    #[test]
    fn only_a_private_regular_file_inside_the_directory_is_accepted() {
        let directory = std::env::temp_dir().join(format!("taut-plugins-{}", std::process::id()));
        fs::create_dir_all(directory.join("sub")).unwrap();
        let file = directory.join("sub/good.so");
        fs::write(&file, "x").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
        symlink(&file, directory.join("link.so")).unwrap();
        symlink(directory.join("sub"), directory.join("linked")).unwrap();
        let open = directory.join("open.so");
        fs::write(&open, "x").unwrap();
        fs::set_permissions(&open, fs::Permissions::from_mode(0o666)).unwrap();

        assert_eq!(why(&file, &directory), "accepted");
        let cases = [
            ("link.so", "symbolic link"),
            ("linked/good.so", "symbolic link"),
            ("sub/../sub/good.so", ". or .."),
            ("sub", "regular file"),
            ("open.so", "writable by others"),
            ("missing.so", "No such file"),
        ];
        for (path, reason) in cases {
            let said = why(&directory.join(path), &directory);
            assert!(said.contains(reason), "{path}: {said}");
        }
        assert!(why(Path::new("/etc/passwd"), &directory).contains("inside"));
        assert!(why(Path::new("sub/good.so"), &directory).contains("absolute"));
        assert!(check(b"/etc/passwd", None).is_err());
        fs::remove_dir_all(directory).unwrap();
    }
}
