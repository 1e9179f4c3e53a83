#!/usr/bin/env bash
# Builds the images, and pushes them if asked. ./build-docker.sh --help; what is in the images: docs/images.md
set -euo pipefail

usage() {
  cat <<'END'
usage: ./build-docker.sh --username U [--all | --single --diarization --transcription --orchestrator]
                         [--speech whisper] [--tag T] [--push] [--platform linux/amd64] [--bake] [--dry-run]

  --username U   the images are named U/parakeet-<role>; a registry may stand before it: registry.example.com/me
  --all          all four; or name the roles, as many as you like
  --speech E     the engine of speech: parakeet (default) or whisper; with whisper the images of the roles
                   that have one are named U/parakeet-<role>-whisper, and have no NeMo
  --tag T        default: latest
  --push         push each image when it is built; log in first
  --platform P   default: linux/amd64, which is what RunPod runs
  --bake         put the role's weights into its image (the orchestrator has none), from the environment:
                   MODEL_ID, MODEL_REVISION                           the speech model and its commit on the hub
                   DIARIZATION_MODEL_ID, DIARIZATION_MODEL_REVISION   the same for the speakers
                   HF_TOKEN                                           for gated models; it does not get into the image
  --dry-run      say what would be done, and do nothing

BASE_IMAGE in the environment is the images' base; DOCKER is the client to use.
END
}

refuse() {
  printf 'build-docker.sh: %s (--help says more)\n' "$1" >&2
  exit 2
}

username='' speech=parakeet tag=latest platform=linux/amd64 push=false bake=false dry_run=false roles=()
while (($#)); do
  case $1 in
    --username | --speech | --tag | --platform)
      [[ ${2:-} && $2 != --* ]] || refuse "$1 needs a value"
      printf -v "${1#--}" %s "$2"
      shift
      ;;
    --all) roles=(single diarization transcription orchestrator) ;;
    --single | --diarization | --transcription | --orchestrator) [[ " ${roles[*]-} " == *" ${1#--} "* ]] || roles+=("${1#--}") ;;
    --push) push=true ;;
    --bake) bake=true ;;
    --dry-run) dry_run=true ;;
    --help | -h) usage && exit ;;
    *) refuse "unknown argument $1" ;;
  esac
  shift
done

[[ $username ]] || refuse '--username is missing'
[[ $username =~ ^[a-z0-9][a-z0-9._:/-]*[a-z0-9]$|^[a-z0-9]$ ]] || refuse "--username $username: lower-case letters, digits and . _ - / are possible"
[[ $tag =~ ^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$ ]] || refuse "--tag $tag: letters, digits and . _ - are possible"
[[ $platform =~ ^linux/(amd64|arm64)$ ]] || refuse "--platform $platform: linux/amd64 and linux/arm64 are possible"
[[ $speech =~ ^(parakeet|whisper)$ ]] || refuse "--speech $speech: parakeet and whisper are possible"
((${#roles[@]})) || refuse 'name a role, or --all'

# MODEL@COMMIT; which variables it comes from is said where one is missing.
pinned() {
  local id=${!1:-$3} revision=${!2:-}
  if [[ $id == *@* ]]; then
    [[ -z $revision || $revision == "${id#*@}" ]] || refuse "$1 and $2 name two revisions"
    revision=${id#*@} id=${id%%@*}
  fi
  [[ $id =~ ^[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+$ ]] || refuse "$1=$id is no Hugging Face id"
  [[ $revision =~ ^[0-9a-f]{40}$ ]] || refuse "--bake: set $2 to the commit of $id that is meant, 40 hexadecimal digits"
  printf %s "$id@$revision"
}

# Whether the role's image is another one with this engine of speech.
is_whisper() {
  [[ $speech == whisper && $1 =~ ^(single|transcription)$ ]]
}

image() {
  printf %s "$username/parakeet-$1"
  ! is_whisper "$1" || printf %s -whisper
}

weights() {
  local default=nvidia/parakeet-tdt-0.6b-v2
  [[ $speech == parakeet ]] || default=mobiuslabsgmbh/faster-whisper-large-v3-turbo
  [[ $1 == diarization ]] || pinned MODEL_ID MODEL_REVISION "$default"
  [[ $1 != single ]] || printf ' '
  [[ $1 == transcription ]] || pinned DIARIZATION_MODEL_ID DIARIZATION_MODEL_REVISION pyannote/speaker-diarization-community-1
}

docker=${DOCKER:-docker}
cd "$(dirname "$0")"
revision=$(git rev-parse HEAD 2>/dev/null || echo unknown)
token=${HUGGINGFACE_ACCESS_TOKEN:-${HF_TOKEN:-}} token_file=''
trap 'rm -f "$token_file"' EXIT

build_command() { # fills command
  local file=Dockerfile
  [[ $1 == single ]] || file+=.$1
  command=("$docker" build --platform "$platform" --file "$file" --tag "$(image "$1"):$tag"
    --build-arg "VERSION=$tag" --build-arg "REVISION=$revision")
  ! is_whisper "$1" || command+=(--build-arg SPEECH=whisper)
  [[ ! ${BASE_IMAGE:-} ]] || command+=(--build-arg "BASE_IMAGE=$BASE_IMAGE")
  [[ ! ${FRONT:-} ]] || command+=(--build-arg "FRONT=$FRONT")
  [[ $bake == true && $1 != orchestrator ]] || { command+=(.) && return; }
  local baked
  baked=$(weights "$1") || exit
  command+=(--build-arg "BAKE_MODELS=$baked")
  [[ ! $token ]] || command+=(--secret "id=hf_token,src=${token_file:-<a file with the token>}")
  command+=(.)
}

run() {
  printf '+ %s\n' "$(printf '%q ' "$@")"
  [[ $dry_run == true ]] || "$@"
}

export DOCKER_BUILDKIT=1
for role in "${roles[@]}"; do
  build_command "$role" # so that a wrong setting is refused before the first image is built
done
if [[ $dry_run == false && $bake == true && $token ]]; then
  token_file=$(umask 077 && mktemp)
  printf %s "$token" >"$token_file"
fi
for role in "${roles[@]}"; do
  build_command "$role"
  run "${command[@]}"
  [[ $push == false ]] || run "$docker" push "$(image "$role"):$tag"
done
