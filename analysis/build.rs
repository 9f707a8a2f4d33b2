//! Takes every report of `reports/` into the program: a file put there is in the list with no code touched.

use std::fmt::Write as _;
use std::path::Path;

#[expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "a build that cannot go on says where"
)]
fn main() {
    println!("cargo:rerun-if-changed=reports");
    let folder = Path::new(&std::env::var("CARGO_MANIFEST_DIR").unwrap()).join("reports");
    let mut names: Vec<String> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".sql"))
        .collect();
    names.sort();
    let mut list =
        "/// Each file of `reports/`: its name and its text.\nconst BUILT_IN: &[(&str, &str)] = &[\n".to_owned();
    for name in names {
        let path = folder.join(&name);
        let _ = writeln!(
            list,
            "    ({:?}, include_str!({path:?})),",
            name.trim_end_matches(".sql")
        );
    }
    list.push_str("];\n");
    let out = Path::new(&std::env::var("OUT_DIR").unwrap()).join("reports.rs");
    std::fs::write(out, list).unwrap();
}
