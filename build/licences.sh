#!/usr/bin/env bash
# Collects the licence texts of everything that the static program holds into a folder, for whoever passes the program on.
#
# usage: build/licences.sh FOLDER
set -euo pipefail
cd "$(dirname "$0")/.."
to=${1:?say where to}
mkdir -p "$to"
to=$(cd "$to" && pwd)

# texts FROM TO: copies the licence files of a folder; a folder without any is an error, because then nobody knows the terms.
texts() {
	local from=$1 into=$to/$2 file found=
	mkdir -p "$into"
	for file in "$from"/{LICEN[CS]E,Licen[cs]e,COPYING,COPYRIGHT,NOTICE,copyright}*; do
		[ -f "$file" ] || continue
		cp --no-preserve=mode "$file" "$into/"
		found=yes
	done
	[ -n "$found" ] || {
		echo "licences: no licence text in $from" >&2
		return 1
	}
}

texts . kvsframes
texts "$(go env GOROOT)" go
for package in libc6-dev zlib1g-dev libgcc-12-dev libgcc-13-dev libgcc-14-dev; do
	if [ -e "/usr/share/doc/$package/copyright" ]; then texts "/usr/share/doc/$package" "$package"; fi
done

prefix=$(build/libav.sh)
texts "$prefix/share/kvsframes" ffmpeg
cp "$prefix/share/kvsframes/libav.txt" "$to/ffmpeg/"

modules=$(build/env.sh go list -tags netgo,osusergo -deps -f '{{with .Module}}{{if not .Main}}{{.Path}} {{.Version}} {{.Dir}}{{end}}{{end}}' ./cmd/kvsframes)
sort -u <<<"$modules" | while read -r path version folder; do
	[ -z "$path" ] || texts "$folder" "$path@$version"
done
