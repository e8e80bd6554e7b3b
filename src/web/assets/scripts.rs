//! The modules that every page loads, as one file: forty files cost forty headers, and compress worse.
//!
//! In the bundle each module is a function that returns its exports. Modules that are loaded later import by name as before:
//! in place of a bundled module there is a short file that passes its exports on.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

/// The name of the bundle in the import map.
pub const BUNDLE: &str = "bundle";

#[derive(Default)]
pub struct Bundle {
    pub code: String,
    /// In place of the bundled modules that others import, by name.
    pub forwards: BTreeMap<String, String>,
    /// In the order in which they run.
    bundled: Vec<String>,
    /// Modules outside of `sources`, imported by the bundle.
    externals: Vec<String>,
}

/// Bundles the module `entry` and all modules of `sources` that it imports.
pub fn bundle(sources: &BTreeMap<String, String>, entry: &str) -> Bundle {
    let mut bundle = Bundle::default();
    bundle.add(entry, sources, &mut Vec::new());
    let imports = bundle.externals.iter().enumerate();
    let imports = imports.fold(String::new(), |mut lines, (nth, name)| {
        let _ = writeln!(lines, "import * as external{nth} from \"{name}\"");
        lines
    });
    bundle.code = format!(
        "{imports}const modules = {{}}\n{}export {{ modules }}\n",
        bundle.code
    );
    let others = sources.iter().filter(|(name, _)| !bundle.has(name));
    let imported: BTreeSet<&str> = others
        .flat_map(|(_, source)| source.lines().filter_map(Import::read))
        .map(|import| import.module)
        .collect();
    bundle
        .forwards
        .retain(|name, _| imported.contains(name.as_str()));
    bundle
}

impl Bundle {
    fn add(&mut self, name: &str, sources: &BTreeMap<String, String>, importers: &mut Vec<String>) {
        if self.bundled.iter().any(|done| done == name) {
            return;
        }
        assert!(
            !importers.iter().any(|importer| importer == name),
            "{name} imports itself: {importers:?}"
        );
        importers.push(name.to_owned());
        let (mut body, mut exports) = (String::new(), Vec::new());
        for line in sources[name].lines() {
            if let Some(import) = Import::read(line) {
                let from = self.resolve(import.module, sources, importers);
                if let Some(names) = import.names {
                    let _ = writeln!(body, "const {names} = {from};");
                }
            } else if let Some(exported) = line.strip_prefix("export ") {
                let (export, line) = read_export(exported);
                exports.push(export);
                body.push_str(&line);
                body.push('\n');
            } else {
                body.push_str(line);
                body.push('\n');
            }
        }
        let returned = exports.join(", ");
        let _ = writeln!(
            self.code,
            "modules[\"{name}\"] = (() => {{\n{body}return {{ {returned} }}\n}})();"
        );
        let named = exports.iter().filter(|export| !export.contains(':'));
        let named = named.map(String::as_str).collect::<Vec<_>>().join(", ");
        let mut forward = format!("import {{ modules }} from \"{BUNDLE}\"\n");
        if !named.is_empty() {
            let _ = writeln!(forward, "export const {{ {named} }} = modules[\"{name}\"]");
        }
        if exports.iter().any(|export| export.contains(':')) {
            let _ = writeln!(forward, "export default modules[\"{name}\"].default");
        }
        self.forwards.insert(name.to_owned(), forward);
        importers.pop();
        self.bundled.push(name.to_owned());
    }

    /// The expression for the exports of `module`.
    fn resolve(
        &mut self,
        module: &str,
        sources: &BTreeMap<String, String>,
        importers: &mut Vec<String>,
    ) -> String {
        if sources.contains_key(module) {
            self.add(module, sources, importers);
            return format!("modules[\"{module}\"]");
        }
        let known = self.externals.iter().position(|name| name == module);
        let nth = known.unwrap_or_else(|| {
            self.externals.push(module.to_owned());
            self.externals.len() - 1
        });
        format!("external{nth}")
    }

    pub fn has(&self, module: &str) -> bool {
        self.bundled.iter().any(|name| name == module)
    }
}

struct Import<'a> {
    module: &'a str,
    /// The left side of an assignment from the module's exports.
    names: Option<String>,
}

impl<'a> Import<'a> {
    /// Reads a static import, which must be one line.
    fn read(line: &'a str) -> Option<Self> {
        let import = line.strip_prefix("import ")?.trim_end_matches(';');
        let (what, module) = import.rsplit_once(" from ").unwrap_or(("", import));
        let module = module.trim().trim_matches('"');
        let names = match what.trim() {
            "" => None,
            names if names.starts_with('{') => Some(names.replace(" as ", ": ")),
            name => Some(match name.strip_prefix("* as ") {
                Some(all) => all.to_owned(),
                None => format!("{{ default: {name} }}"),
            }),
        };
        Some(Self { module, names })
    }
}

/// The export as a property, and the line without `export`. Panics at a form that our scripts do not use, in a test.
fn read_export(exported: &str) -> (String, String) {
    if let Some(value) = exported.strip_prefix("default ") {
        return (
            "default: exported".into(),
            format!("const exported = {value}"),
        );
    }
    let declared = ["const ", "function ", "async function ", "class "]
        .iter()
        .find_map(|keyword| exported.strip_prefix(keyword))
        .unwrap_or_else(|| panic!("cannot bundle `export {exported}`"));
    let end = declared.find(|letter: char| !letter.is_alphanumeric() && letter != '_');
    let name = &declared[..end.unwrap_or(declared.len())];
    assert!(!name.is_empty(), "cannot bundle `export {exported}`");
    (name.to_owned(), exported.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bundled(sources: &[(&str, &str)]) -> Bundle {
        let sources = sources
            .iter()
            .map(|(name, source)| ((*name).to_owned(), (*source).to_owned()))
            .collect();
        bundle(&sources, "app")
    }

    #[test]
    fn modules_run_once_and_after_those_they_import() {
        let bundle = bundled(&[
            (
                "app",
                "import List from \"list\"\nimport { now as today } from \"time\"\nimport \"turbo\"\nList(today)",
            ),
            (
                "list",
                "import * as time from \"time\"\nexport default function () {\n}",
            ),
            (
                "time",
                "import { t } from \"i18n\"\nexport const now = () => t(1)\nconst hidden = 2",
            ),
            (
                "lazy",
                "import List from \"list\"\nimport { now } from \"time\"",
            ),
            ("other", "import { now } from \"time\""),
        ]);
        assert_eq!(
            bundle.code,
            "import * as external0 from \"i18n\"\nimport * as external1 from \"turbo\"\nconst modules = {}\n\
             modules[\"time\"] = (() => {\nconst { t } = external0;\nconst now = () => t(1)\nconst hidden = 2\nreturn { now }\n})();\n\
             modules[\"list\"] = (() => {\nconst time = modules[\"time\"];\nconst exported = function () {\n}\nreturn { default: exported }\n})();\n\
             modules[\"app\"] = (() => {\nconst { default: List } = modules[\"list\"];\nconst { now: today } = modules[\"time\"];\nList(today)\nreturn {  }\n})();\n\
             export { modules }\n"
        );
        assert_eq!(
            bundle.forwards["time"],
            "import { modules } from \"bundle\"\nexport const { now } = modules[\"time\"]\n"
        );
        assert_eq!(
            bundle.forwards["list"],
            "import { modules } from \"bundle\"\nexport default modules[\"list\"].default\n"
        );
        assert_eq!(bundle.forwards.len(), 2, "nobody else imports the others");
    }

    #[test]
    #[should_panic(expected = "imports itself")]
    fn circle_is_refused() {
        bundled(&[
            ("app", "import { a } from \"one\""),
            ("one", "import { b } from \"two\""),
            ("two", "import { a } from \"one\""),
        ]);
    }

    #[test]
    #[should_panic(expected = "cannot bundle")]
    fn unknown_form_of_export_is_refused() {
        bundled(&[("app", "export { a, b }")]);
    }
}
