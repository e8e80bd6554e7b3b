# lint.sh FILE: the recommended rules of Redocly and Spectral, in parallel; a warning is an error.
export REDOCLY_TELEMETRY=off REDOCLY_SUPPRESS_UPDATE_NOTICE=true NO_UPDATE_NOTIFIER=1
node_modules/.bin/redocly lint --config redocly.yaml --format stylish "$1" &
redocly=$!
node_modules/.bin/spectral lint --ruleset spectral.yaml --fail-severity warn "$1"
spectral=$?
# Redocly exits with 0 on warnings; redocly.yaml raises those of the recommended rules to errors.
wait $redocly && exit $spectral
