# lint.sh FILE: the recommended rules of both; a warning is an error. Side by side, for each takes a second to start.
export REDOCLY_TELEMETRY=off REDOCLY_SUPPRESS_UPDATE_NOTICE=true NO_UPDATE_NOTIFIER=1
node_modules/.bin/redocly lint --config redocly.yaml --format stylish "$1" &
redocly=$!
node_modules/.bin/spectral lint --ruleset spectral.yaml --fail-severity warn "$1"
spectral=$?
# Redocly's exit code says nothing of warnings: those of the recommended rules that only warn are raised in its file.
wait $redocly && exit $spectral
