# Shared by the scripts in bin/: installs requirements, and starts a temporary database.

die() {
  echo "$0: $*" >&2
  exit 1
}

as_root() {
  if [ "$(id -u)" = 0 ]; then
    "$@"
  elif command -v sudo >/dev/null; then
    sudo "$@"
  else
    die "run this as root, or have sudo: $*"
  fi
}

# install <why> <for apt-get> <for dnf> <for apk> <for brew>
install() {
  if command -v apt-get >/dev/null; then
    echo "$1: installing $2" >&2
    as_root apt-get update -q
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -yq --no-install-recommends $2
  elif command -v dnf >/dev/null; then
    echo "$1: installing $3" >&2
    as_root dnf install -y $3
  elif command -v apk >/dev/null; then
    echo "$1: installing $4" >&2
    as_root apk add $4
  elif command -v brew >/dev/null; then
    echo "$1: installing $5" >&2
    brew install $5
  else
    die "$1: please install it, this system has no package manager that I know"
  fi
}

need_rust() {
  command -v cargo >/dev/null || die "Rust is missing: install it from https://rustup.rs"
}

# The directory of PostgreSQL's programs, which is often not on PATH. The server searches the same places.
postgres_programs() {
  local on_path dir
  on_path=$(readlink -f "$(command -v postgres)" 2>/dev/null || true)
  for dir in "${on_path%/*}" $(ls -d /usr/lib/postgresql/*/bin /usr/pgsql-*/bin /usr/libexec/postgresql*/ \
    /opt/homebrew/opt/postgresql@*/bin /usr/local/opt/postgresql@*/bin 2>/dev/null | sort -rV); do
    if [ -x "$dir/postgres" ] && [ -x "$dir/initdb" ]; then
      echo "${dir%/}"
      return
    fi
  done
  return 1
}

# Runs the tests; configured in .config/nextest.toml.
need_nextest() {
  if ! cargo nextest --version >/dev/null 2>&1; then cargo install --locked cargo-nextest; fi
}

need_postgres() {
  if postgres_programs >/dev/null; then return; fi
  if command -v apt-get >/dev/null && [ ! -e /etc/postgresql-common ]; then
    # Only the programs are needed, not Debian's default cluster on port 5432.
    as_root mkdir -p /etc/postgresql-common/createcluster.d
    echo "create_main_cluster = false" |
      as_root tee /etc/postgresql-common/createcluster.d/no-main-cluster.conf >/dev/null
  fi
  install "PostgreSQL" "postgresql" "postgresql-server" "postgresql" "postgresql@17"
  postgres_programs >/dev/null || die "PostgreSQL was installed, but its programs are nowhere to be found"
}

# Finds errors in PL/pgSQL functions that only a call would show. The tests do without where the system has no such package.
need_plpgsql_check() {
  local version
  command -v apt-get >/dev/null || return 0
  version=$("$(postgres_programs)/postgres" --version | sed -E "s/.* ([0-9]+).*/\1/")
  if dpkg -s "postgresql-$version-plpgsql-check" >/dev/null 2>&1; then return; fi
  as_root apt-get update -q >/dev/null
  if [ -z "$(apt-cache search --names-only "^postgresql-$version-plpgsql-check\$")" ]; then return; fi
  install "Tests of the database's functions" "postgresql-$version-plpgsql-check" "" "" ""
}

need_browser() {
  if ! command -v chromedriver >/dev/null; then
    install "Browser tests" "chromium chromium-driver" "chromium chromedriver" "chromium chromium-chromedriver" \
      "--cask google-chrome chromedriver"
  fi
  if command -v fc-list >/dev/null && command -v apt-get >/dev/null; then
    local family
    for family in "Noto Sans" "Noto Color Emoji" "Noto Sans CJK SC"; do
      if [ -z "$(fc-list "$family")" ]; then
        install "Letters of every language in browser tests" "fonts-noto-core fonts-noto-color-emoji fonts-noto-cjk" "" "" ""
        return
      fi
    done
  fi
}

# Tests open and save exports in it. 90 MB to download, 276 MB on disk.
need_libreoffice() {
  if command -v soffice >/dev/null; then return; fi
  install "Tests with a spreadsheet" "libreoffice-calc-nogui" "libreoffice-calc" "libreoffice-calc" "--cask libreoffice"
  command -v soffice >/dev/null || die "LibreOffice was installed, but soffice is not on PATH"
}

# For the JavaScript unit tests; needs no npm packages.
need_node() {
  if ! command -v node >/dev/null; then install "Tests of the pages' scripts" nodejs nodejs nodejs node; fi
}

# Collects the sentences of templates and scripts, and merges them into translations.
need_gettext() {
  if ! command -v msgmerge >/dev/null; then install "Translations" gettext gettext gettext gettext; fi
}

# Collects the sentences of Rust code.
need_xtr() {
  if command -v xtr >/dev/null; then return; fi
  need_rust
  cargo install --quiet --locked --version 0.1.11 xtr
}

# Tests read printed pages with it.
need_pdftotext() {
  if ! command -v pdftotext >/dev/null; then install "Tests of printed pages" poppler-utils poppler-utils poppler-utils poppler; fi
}

# The tools of tests/it/openapi.rs, which lints the API description and generates a client. Reinstalled when their
# versions change.
need_openapi_tools() {
  local tools=tests/openapi
  if cmp -s "$tools/package-lock.json" "$tools/node_modules/.installed"; then return; fi
  if ! command -v npm >/dev/null; then
    install "Tests of the API's description" "nodejs npm" "nodejs npm" "nodejs npm" "node"
  fi
  npm ci --prefix "$tools" --silent
  cp "$tools/package-lock.json" "$tools/node_modules/.installed"
}

# PostgreSQL refuses to run as root.
as_postgres() {
  if [ "$(id -u)" = 0 ]; then
    (cd / && su -s /bin/sh "$(id -un postgres 2>/dev/null || echo nobody)" -c 'exec "$0" "$@"' -- "$@")
  else
    "$@"
  fi
}

# A migrated, empty PostgreSQL at $DATABASE_URL, in $scratch; both are removed when the script ends.
throw_away_database() {
  local programs cluster
  programs=$(postgres_programs)
  scratch=$(mktemp -d)
  cluster=$scratch/cluster
  trap remove_database EXIT
  chmod 711 "$scratch"
  mkdir -m 700 "$cluster"
  if [ "$(id -u)" = 0 ]; then chown "$(id -un postgres 2>/dev/null || echo nobody)" "$cluster"; fi

  as_postgres "$programs/initdb" -D "$cluster" -U postgres -A trust -E UTF8 --locale=C --no-sync >/dev/null
  as_postgres "$programs/pg_ctl" -D "$cluster" -l "$cluster/log" -w start >/dev/null \
    -o "-c listen_addresses='' -c unix_socket_directories='$cluster' -c fsync=off -c full_page_writes=off" ||
    { cat "$cluster/log" >&2; die "the throw-away PostgreSQL did not start"; }

  # Like the server's login: owns its database, and is no superuser.
  psql_as postgres postgres -c "create role messagehub login createdb createrole" \
    -c "create database messagehub owner messagehub"
  apply_schema
  export DATABASE_URL="postgres:///messagehub?host=$cluster&user=messagehub"
}

# As src/db/migrate.rs does it: the roles, the functions that tables need, the tables, all functions and triggers.
apply_schema() {
  local first=migrations/0001_foundations.sql needed rest
  needed=$(grep -lx -- "-- needed by migrations" db/functions/*.sql)
  rest=$(ls migrations/*.sql | grep -vx "$first")
  psql_as messagehub messagehub -c "set client_min_messages = warning" -c "set check_function_bodies = off" \
    -f "$first" -c "grant create on schema public to messagehub_system" \
    $(printf -- " -f %s" $needed $rest db/functions/*.sql) \
    -c "revoke create on schema public from messagehub_system" || die "the schema does not apply"
}

remove_database() {
  as_postgres "$(postgres_programs)/pg_ctl" -D "$scratch/cluster" -m immediate stop >/dev/null 2>&1 || true
  rm -rf "$scratch"
}

psql_as() {
  "$(postgres_programs)/psql" -h "$scratch/cluster" -p 5432 -U "$1" -d "$2" -Xqv ON_ERROR_STOP=1 "${@:3}" >/dev/null
}

# Compiles the server, the tests and the benchmarks, and lints them on the way: `cargo clippy` would compile everything once
# more. Checks each query against $DATABASE_URL, and writes the query metadata to $scratch/sqlx.
build_and_lint() {
  mkdir "$scratch/sqlx"
  touch src/lib.rs # cargo does not know that the code depends on the database
  SQLX_OFFLINE=false SQLX_OFFLINE_DIR="$scratch/sqlx" cargo test --no-run --all-targets
}

# cargo compiles this package, not its dependencies, with clippy. Clippy's arguments end in this separator.
lint_while_compiling() {
  export RUSTC_WORKSPACE_WRAPPER=clippy-driver
  export CLIPPY_ARGS="-Dwarnings__CLIPPY_HACKERY__"
}
