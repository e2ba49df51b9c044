#!/usr/bin/env bash
# Writes the five demonstration lists from a Debian machine: checksums of packages from the package index,
# and checksums of the files that packages installed. Needs bash, awk, coreutils, gzip, dpkg and apt, no root;
# run `apt-get update` first. Another machine or another day gives other rows of the same shape.
#
# Usage: testnet/lists/gather.sh [FOLDER]      (default: the folder of this script)
set -euo pipefail
export LC_ALL=C
out=$(cd "${1:-$(dirname "${BASH_SOURCE[0]}")}" && pwd)
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

# Values that the ingest guard refuses: the empty file, one LF, one NUL (MD5, SHA-1, SHA-256).
cat > "$tmp/guarded" <<'GUARD'
d41d8cd98f00b204e9800998ecf8427e
da39a3ee5e6b4b0d3255bfef95601890afd80709
e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855
68b329da9893e34099c7d8ad5cb9c940
adc83b19e793491b1c6ea0fd8b46cd9f32e592fc
01ba4719c80b6fe911b091a7c05124b64eeece964e09c058ef8f9805daca546b
93b885adfe0da089cdf634904fd59f71
5ba93c9db0cff93f52b521d7420e43f6eda2784f
6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d
GUARD

# distinct SEPARATOR COLUMN...: drops a row if one of the columns is guarded or was seen in that column before.
distinct() {
  local separator=$1
  shift
  awk -F "$separator" -v columns="$*" '
    BEGIN { n = split(columns, at, " ") }
    FNR == NR { guarded[$0]; next }
    { for (i = 1; i <= n; i++) if (($(at[i]) in guarded) || ((i, $(at[i])) in seen)) next
      for (i = 1; i <= n; i++) seen[i, $(at[i])]
      print }' "$tmp/guarded" -
}

# spread COUNT FILE: COUNT rows at even distances, in order, so that every part of the input is represented.
spread() {
  local total
  total=$(wc -l < "$2")
  (( total >= $1 )) || echo "only $total rows where $1 were asked for" >&2
  awk -v want="$1" -v total="$total" '
    want >= total || int(NR * want / total) > int((NR - 1) * want / total)' "$2"
}

keep() { # keep NAME: standard input, compressed without name and time, so that equal rows give equal bytes
  gzip -9n > "$out/$1.gz"
  printf '%-10s %6d lines, %8d bytes\n' "$1" "$(gzip -dc "$out/$1.gz" | wc -l)" "$(wc -c < "$out/$1.gz")"
}

# --- packages: the index of the release, main, amd64 -----------------------------------------------------------
. /etc/os-release
apt-get indextargets --format '$(FILENAME)' 'Created-By: Packages' "Codename: $VERSION_CODENAME" 'Origin: Debian' \
  'Component: main' "Architecture: amd64" > "$tmp/indexes"
[ -s "$tmp/indexes" ] || { echo "no package index: run apt-get update" >&2; exit 1; }
xargs /usr/lib/apt/apt-helper cat-file < "$tmp/indexes" | awk '
  /^Package:/ { package = $2; section = size = md5 = sha256 = "" }
  /^Section:/ { section = $2 }
  /^Size:/    { size = $2 }
  /^MD5sum:/  { md5 = $2 }
  /^SHA256:/  { sha256 = $2 }
  /^$/ && md5 && sha256 && size && section ~ /^[a-z0-9-]+$/ { print md5 "," sha256 "," size "," section "," package; md5 = "" }
' > "$tmp/index"
cut -d, -f5 "$tmp/index" | sort -u > "$tmp/names"
distinct , 1 2 < "$tmp/index" > "$tmp/packages"
awk 'NR % 2' "$tmp/packages" > "$tmp/odd"
awk 'NR % 2 == 0' "$tmp/packages" > "$tmp/even"

spread 13000 "$tmp/odd" > "$tmp/eu"
{ echo md5,sha256,size,section,package; cat "$tmp/eu"; } | keep eu.csv

# A thousand packages are on both lists: one fingerprint, two origins.
{ spread 12000 "$tmp/even"; spread 1000 "$tmp/eu"; } | sort -t, -k5,5 | cut -d, -f2,3,4 > "$tmp/us"
{ echo sha256,size,section; cat "$tmp/us"; } | keep us.csv

# --- installed files: what dpkg says a package of this release installed -----------------------------------------
dpkg-query -W -f '${Package} ${Section}\n' | awk '$2 ~ /^[a-z0-9-]+$/' | sort -u > "$tmp/sections"
for list in /var/lib/dpkg/info/*.md5sums; do
  package=$(basename "$list" .md5sums)
  awk -v package="${package%%:*}" '{ print package " " $0 }' "$list"
done | awk -v names="$tmp/names" -v sections="$tmp/sections" '
  BEGIN { while ((getline name < names) > 0) listed[name]
          while ((getline row < sections) > 0) { split(row, part, " "); section[part[1]] = part[2] } }
  # Only plain names: no backslash, blank, control or non-ASCII byte, which sha256sum would escape.
  ($1 in listed) && ($1 in section) && NF == 3 && $3 ~ /^[A-Za-z0-9._+:@%,=~\/-]+$/ { print $2, section[$1], $3 }
' | distinct ' ' 1 > "$tmp/files"                                               # md5 section name
images='\.(png|jpg|jpeg|gif|svg|xpm|ico)$'
texts='(\.(h|hpp|py|pl|pm|txt|md|rst|html|xml|json|yaml|c|sh|js|css|vim|tcl|m4|sql|php)|/copyright)$'
grep -E "$images" "$tmp/files" > "$tmp/images"
grep -E "$texts" "$tmp/files" > "$tmp/texts"
grep -Ev "$images|$texts" "$tmp/files" > "$tmp/others"

# Rows `md5 section name` of files that are on this disk as the package brought them.
unchanged() {
  sed 's|^\([0-9a-f]*\) [^ ]* |\1  |' "$1" | (cd / && md5sum --check 2> "$tmp/errors" || true) |
    sed -n 's/: OK$//p' > "$tmp/intact"
  awk 'FNR == NR { intact[$0]; next } $3 in intact' "$tmp/intact" "$1"
}

spread 13000 "$tmp/texts" | sed 's|^\([0-9a-f]*\) [^ ]* |\1  |' | keep ca.md5

spread 12600 "$tmp/others" > "$tmp/some"
unchanged "$tmp/some" | head -n 12500 > "$tmp/au"
cut -d' ' -f3 "$tmp/au" > "$tmp/au.names"
paste -d';' \
  <(cd / && xargs sha1sum < "$tmp/au.names" | cut -d' ' -f1) \
  <(cd / && xargs sha256sum < "$tmp/au.names" | cut -d' ' -f1) \
  <(cd / && xargs stat -c %s < "$tmp/au.names") \
  <(cut -d' ' -f2 "$tmp/au") | distinct ';' 1 2 > "$tmp/au.rows"
{ echo 'sha1;sha256;size;section'; cat "$tmp/au.rows"; } | keep au.csv

spread 3200 "$tmp/images" > "$tmp/some"
unchanged "$tmp/some" | cut -d' ' -f3 | (cd / && xargs sha256sum) | distinct ' ' 1 | keep nz.sha256
