# Questbus from plain shell: bash for the socket, openssl for the signature, coreutils for the rest. To be sourced.
# docs/protocol.md tells it in words.
#
#   bus_open STATE ROLE NAME        opens file descriptor 3
#   bus_request VERB DATA [ID]      sends a command; the answer is in $answer. 0: committed; 1: refused; 2: no answer
#
# LC_ALL=C: lengths are bytes, as NATS counts them.
export LC_ALL=C

# Bytes of standard input as hexadecimal digits, and back.
hex() { od -An -v -tx1 | tr -d ' \n'; }
unhex() { printf "$(sed 's/../\\x&/g')"; }

# The checksum of an nkey: CRC-16/XMODEM of hexadecimal bytes, low byte first.
nkey_crc() {
  local digits=$1 crc=0 at bit
  for ((at = 0; at < ${#digits}; at += 2)); do
    crc=$((crc ^ (16#${digits:at:2} << 8)))
    for ((bit = 0; bit < 8; bit++)); do
      crc=$(((crc & 0x8000 ? (crc << 1) ^ 0x1021 : crc << 1) & 0xffff))
    done
  done
  printf '%02x%02x' $((crc & 255)) $((crc >> 8))
}

# Text as a JSON string, with its quotes; the second argument, which is JSON already, comes after it.
json_text() {
  printf '"%s"' "$(printf '%s' "$1" |
    sed -e 's/\\/\\\\/g' -e 's/"/\\"/g' -e 's/\t/\\t/g' -e 's/\r/\\r/g' -e 's/\x08/\\b/g' -e 's/\x0c/\\f/g' -e 's/\x1b/\\u001b/g' |
    awk 'NR > 1 { printf "\\n" } { printf "%s", $0 }')${2:-}"
}

# The first value of a key in JSON without spaces: inside of a text every quote has a backslash, so only a key matches.
json_value() {
  grep -o "\"$1\":\(\"\([^\"\\\\]\|\\\\.\)*\"\|[^,}\"]*\)" | head -n 1 | sed -e "s/^\"$1\"://" -e 's/^"//' -e 's/"$//'
}

bus_open() {
  local state=$1 work seed public line nonce signature host
  bus_role=$2 bus_name=$3 bus_count=0
  bus_space=$(json_value space < "$state/stack.json")
  bus_inbox="_INBOX_$bus_role-$bus_name.$(openssl rand -hex 8)"
  host=$(json_value url < "$state/stack.json" | sed -e 's,^nats://,,' -e 's/,.*//')
  exec 3<>"/dev/tcp/${host%:*}/${host##*:}" || return 2

  work=$(mktemp -d) || return 2
  seed=$(printf '%s======' "$(tr -d '\n ' < "$state/credentials/$bus_role-$bus_name.nk")" | base32 -d | hex)
  # The 32 bytes of the seed, with what makes them a private key of Ed25519 in DER.
  printf '302e020100300506032b657004220420%s' "${seed:4:64}" | unhex > "$work/key"
  public=a0$(openssl pkey -inform DER -in "$work/key" -pubout -outform DER | tail -c 32 | hex)
  public=$(printf '%s%s' "$public" "$(nkey_crc "$public")" | unhex | base32 -w 0)

  IFS= read -r -t 5 line <&3 || return 2
  nonce=$(printf '%s' "$line" | json_value nonce)
  printf '%s' "$nonce" > "$work/nonce"
  signature=$(openssl pkeyutl -sign -rawin -keyform DER -inkey "$work/key" -in "$work/nonce" | base64 -w 0 | tr '+/' '-_' | tr -d '=')
  rm -rf "$work"

  printf 'CONNECT {"nkey":"%s","sig":"%s","protocol":1,"headers":true,"no_responders":true,"verbose":false,"pedantic":false,"lang":"shell","version":"1"}\r\nSUB %s.* 1\r\nPING\r\n' \
    "$public" "$signature" "$bus_inbox" >&3
  while IFS= read -r -t 5 line <&3; do
    case $line in
      PONG*) return 0 ;;
      -ERR*) echo "$line" >&2; return 2 ;;
    esac
  done
  return 2
}

# One try of one command. Where no answer comes, the same ID sent again is never done twice.
bus_request() {
  local verb=$1 data=$2 id=${3:-$(openssl rand -hex 16)} wait_s=${4:-5} message line words bytes
  bus_count=$((bus_count + 1))
  message="{\"specversion\":\"1.0\",\"id\":\"$id\",\"type\":\"questbus.command.$verb.v1\",\"source\":\"questbus/$bus_space/$bus_role/$bus_name\",\"time\":\"$(date -u +%Y-%m-%dT%H:%M:%SZ)\",\"dataschema\":\"questbus:command.$verb.v1\",\"data\":$data}"
  printf 'PUB %s.%s.%s.%s %s.%s %d\r\n%s\r\n' "$bus_space" "$bus_role" "$bus_name" "$verb" "$bus_inbox" "$bus_count" "${#message}" "$message" >&3 || return 2
  while IFS= read -r -t "$wait_s" line <&3; do
    line=${line%$'\r'}
    case $line in
      PING) printf 'PONG\r\n' >&3 ;;
      # What this credential may not send is refused for good.
      -ERR*Permissions\ Violation*) answer=$line; return 1 ;;
      -ERR*) echo "$line" >&2; return 2 ;;
      MSG\ * | HMSG\ *)
        read -r -a words <<< "$line"
        bytes=${words[-1]}
        IFS= read -r -t 5 -N "$((bytes + 2))" answer <&3 || return 2
        # A late answer to an earlier try has another subject; one with headers says that nobody listens.
        [ "${words[1]}" = "$bus_inbox.$bus_count" ] || continue
        [ "${words[0]}" = MSG ] || return 2
        case $answer in '{"ok":true'*) return 0 ;; *) return 1 ;; esac
        ;;
    esac
  done
  return 2
}
