"""The examples in the help of each command."""

EXAMPLES = {
    "demo": "logplex-handler demo --seconds 10",
    "send": """\
logplex-handler send "deploy finished"
myapp 2>&1 | logplex-handler send --procid worker.1
logplex-handler send --follow /var/log/myapp.log""",
    "check": """\
logplex-handler check
logplex-handler check --no-line                     # sends nothing
logplex-handler check --logger shop.orders --setup shop.settings""",
    "ship": """\
logplex-handler ship --streams shop.logs:streams   # LOGPLEX_RELAY has the URL
logplex-handler ship --streams shop.logs:streams --workers 32
shipper: logplex-handler ship                      # in a Procfile""",
    "relay": """\
logplex-handler relay
logplex-handler relay --json""",
    "size": """\
logplex-handler size --customers 50000 --lines-per-second 0.1 --processes 20
logplex-handler size --customers 1 --lines-per-second 2000 --outage 1h""",
    "receive": """\
logplex-handler receive --web                           # with a page
logplex-handler receive --brief --process 'web.*' --level warning
logplex-handler receive --grep 'status=5* -path=/health stream=acme'
logplex-handler receive --customer acme                 # as customers see it
logplex-handler receive --json | jq -r .pairs.status    # for programs
logplex-handler receive --fail 503:0.2 --delay 0.1      # a Logplex in trouble
logplex-handler receive --record requests.ndjson""",
    "replay": """\
logplex-handler replay requests.ndjson
logplex-handler replay requests.ndjson --speed 1    # at the recorded speed""",
}
