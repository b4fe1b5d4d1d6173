// completion-scripts.ts: one algorithm in the words of four shells. It walks over the words before
// the one being typed and keeps three things: the path of commands so far, the flag that waits for
// its value, and how many operands there were. They choose what to offer: the values of the flag;
// flags, when a dash is typed; or what may stand at that place. Where there is nothing to offer,
// the shell offers files. After `--` the words belong to another program.
import type { Offers, Path } from './completion-offers.js'

type Case = readonly [pattern: string, body: string]

/** Arms of a `case`, for bash and zsh. */
const arms = (cases: readonly Case[], indent: string): string =>
  cases.map(([pattern, body]) => `${indent}${pattern}) ${body} ;;\n`).join('')

const quoted = (texts: readonly string[]): string[] => texts.map((text) => `'${text}'`)

/** Where flags take the next word: a path with its flag, or any path with a common one. */
function valuedWords({ paths, commonValued }: Offers, any: (flag: string) => string): string[] {
  const own = paths.flatMap(({ path, valued }) => valued.map((flag) => `'${path} ${flag}'`))
  return [...commonValued.map(any), ...own]
}

const pathWords = ({ paths }: Offers): string[] =>
  quoted(paths.map(({ path }) => path).filter((path) => path !== ''))

/** What may stand where: path and place, ` role grant-permission 1`. */
function places({ paths }: Offers): { place: string; words: string }[] {
  return paths.flatMap(({ path, operands }) =>
    operands.map(({ at, words }) => ({ place: `${path} ${at}`, words: words.join(' ') })),
  )
}

const withFlags = ({ paths }: Offers): Path[] => paths.filter(({ flags }) => flags.length > 0)

/** bash breaks words at `=` and `:`; the part behind is a value. */
const brokenWord = `    if [[ $word == [=:] ]]; then expects=\${expects:-$word}; continue; fi\n`

/** The body that bash and zsh share: from `before` and `typed` to `front` and `offers`. */
function walk(offers: Offers, eachWord: string): string {
  const valued = valuedWords(offers, (flag) => `*' ${flag}'`)
  const own = withFlags(offers).map(
    ({ path, flags }): Case => [`'${path}'`, `offers+=' ${flags.join(' ')}'`],
  )
  const words = places(offers).map(({ place, words }): Case => [`'${place}'`, `offers='${words}'`])
  const values = offers.values.map(
    ({ names, words }): Case => [names.join('|'), `offers='${words.join(' ')}'`],
  )
  return (
    "  local word at='' expects='' front='' offers='' operands=0\n" +
    `  for word in "\${before[@]}"; do\n` +
    eachWord +
    "    if [[ -n $expects ]]; then expects=''; continue; fi\n" +
    "    if [[ $word == '--' ]]; then expects='--'; break; fi\n" +
    '    case "$at $word" in\n' +
    arms([[valued.join('|'), 'expects=$word']], '      ') +
    arms([[pathWords(offers).join('|'), 'at="$at $word"']], '      ') +
    arms([['*', '[[ $word == -* ]] || operands=$((operands + 1))']], '      ') +
    '    esac\n' +
    '  done\n' +
    '  if [[ -z $expects && $typed == --*=* ]]; then\n' +
    `    expects=\${typed%%=*}\n` +
    '    front="$expects="\n' +
    '  fi\n' +
    '  if [[ -n $expects ]]; then\n' +
    `    case "$expects" in\n${arms(values, '      ')}    esac\n` +
    '  elif [[ $typed == -* ]]; then\n' +
    `    offers='${offers.common.join(' ')}'\n` +
    `    case "$at" in\n${arms(own, '      ')}    esac\n` +
    '  else\n' +
    `    case "$at $operands" in\n${arms(words, '      ')}    esac\n` +
    '  fi\n'
  )
}

export function bash(offers: Offers): string {
  return (
    '# bash completion for tsctl: source <(tsctl completion bash)\n' +
    '_tsctl() {\n' +
    `  local typed=$2 before=("\${COMP_WORDS[@]:1:$((COMP_CWORD - 1))}")\n` +
    `  if [[ \${COMP_WORDS[COMP_CWORD]} == [=:] ]]; then\n` +
    "    before+=('=') typed=''\n" +
    '  fi\n' +
    walk(offers, brokenWord) +
    `  COMPREPLY=($(compgen -P "$front" -W "$offers" -- "\${typed#"$front"}"))\n` +
    '}\n' +
    'complete -o default -F _tsctl tsctl\n'
  )
}

/** Sourced, or put into a directory of $fpath as `_tsctl`: then its first use runs it. */
export function zsh(offers: Offers): string {
  return (
    '#compdef tsctl\n' +
    '# zsh completion for tsctl: source <(tsctl completion zsh)\n' +
    '_tsctl() {\n' +
    '  local typed=$PREFIX\n' +
    `  local -a before=("\${words[@]:1:$((CURRENT - 2))}") found\n` +
    walk(offers, '') +
    `  found=(\${=offers})\n` +
    `  if (( $#found )); then compadd -- $front\${^found}; else _files; fi\n` +
    '}\n' +
    'compdef _tsctl tsctl\n' +
    'if [[ $funcstack[1] == _tsctl ]]; then _tsctl "$@"; fi\n'
  )
}

export function fish(offers: Offers): string {
  const when = (pattern: string, body: string, indent: string): string =>
    `${indent}case ${pattern}\n${indent}  ${body}\n`
  const more = 'set operands (math $operands + 1)'
  const own = withFlags(offers).map(({ path, flags }) =>
    when(`'${path}'`, `set -a offers ${flags.join(' ')}`, '      '),
  )
  const words = places(offers).map(({ place, words }) =>
    when(`'${place}'`, `set offers ${words}`, '      '),
  )
  const values = offers.values.map(({ names, words }) =>
    when(names.join(' '), `set offers ${words.join(' ')}`, '      '),
  )
  return (
    '# fish completion for tsctl: tsctl completion fish | source\n' +
    'function __tsctl_offers\n' +
    '  set -l before (commandline -opc)\n' +
    '  set -l typed (commandline -ct)\n' +
    "  set -l at ''\n  set -l expects ''\n  set -l front ''\n  set -l offers\n" +
    '  set -l operands 0\n' +
    '  set -e before[1]\n' +
    '  for word in $before\n' +
    '    if test -n "$expects"\n' +
    "      set expects ''\n" +
    '      continue\n' +
    '    end\n' +
    '    if test "$word" = \'--\'\n' +
    '      return\n' +
    '    end\n' +
    '    switch "$at $word"\n' +
    when(valuedWords(offers, (flag) => `'* ${flag}'`).join(' '), 'set expects $word', '      ') +
    when(pathWords(offers).join(' '), 'set at "$at $word"', '      ') +
    when("'*'", `string match -q -- '-*' "$word"; or ${more}`, '      ') +
    '    end\n' +
    '  end\n' +
    '  if test -z "$expects"; and string match -q -- \'--*=*\' "$typed"\n' +
    "    set expects (string replace -r '=.*' '' -- \"$typed\")\n" +
    '    set front "$expects="\n' +
    '  end\n' +
    '  if test -n "$expects"\n' +
    `    switch "$expects"\n${values.join('')}    end\n` +
    '  else if string match -q -- \'-*\' "$typed"\n' +
    `    set offers ${offers.common.join(' ')}\n` +
    `    switch "$at"\n${own.join('')}    end\n` +
    '  else\n' +
    `    switch "$at $operands"\n${words.join('')}    end\n` +
    '  end\n' +
    "  if set -q offers[1]\n    printf '%s\\n' $front$offers\n  end\n" +
    'end\n' +
    "complete -c tsctl -n 'count (__tsctl_offers) >/dev/null' -f -a '(__tsctl_offers)'\n"
  )
}

export function powershell(offers: Offers): string {
  const { paths, common, commonValued } = offers
  const row = (name: string, words: string): string => `    '${name}' = '${words}'\n`
  const own = withFlags(offers).map(({ path, flags }) => row(path, flags.join(' ')))
  const valued = paths
    .filter((one) => one.valued.length > 0)
    .map((one) => row(one.path, one.valued.join(' ')))
  const values = offers.values.flatMap(({ names, words }) =>
    names.map((name) => row(name, words.join(' '))),
  )
  const words = places(offers).map(({ place, words }) => row(place, words))
  return (
    '# PowerShell completion for tsctl:\n' +
    '# tsctl completion powershell | Out-String | Invoke-Expression\n' +
    'Register-ArgumentCompleter -Native -CommandName tsctl -ScriptBlock {\n' +
    '  param($typed, $line, $cursor)\n' +
    `  $paths = ${pathWords(offers).join(', ')}\n` +
    `  $common = '${common.join(' ')}'\n` +
    `  $commonValued = '${commonValued.join(' ')}'\n` +
    `  $own = @{\n${own.join('')}  }\n` +
    `  $valued = @{\n${valued.join('')}  }\n` +
    `  $values = @{\n${values.join('')}  }\n` +
    `  $places = @{\n${words.join('')}  }\n` +
    powershellWalk +
    '}\n'
  )
}

const powershellWalk = `  $at = ''; $expects = ''; $front = ''; $operands = 0
  $before = $line.CommandElements | Select-Object -Skip 1 |
    Where-Object { $_.Extent.EndOffset -lt $cursor } | ForEach-Object { "$_" }
  foreach ($word in $before) {
    if ($expects) { $expects = ''; continue }
    if ($word -eq '--') { return }
    $takers = "$commonValued $($valued[$at])" -split ' '
    if ($takers -ccontains $word) { $expects = $word }
    elseif ($paths -ccontains "$at $word") { $at = "$at $word" }
    elseif ($word -notlike '-*') { $operands++ }
  }
  if (-not $expects -and $typed -like '--*=*') {
    $expects = ($typed -split '=')[0]
    $front = "$expects="
  }
  if ($expects) { $offers = $values[$expects] }
  elseif ($typed -like '-*') { $offers = "$common $($own[$at])" }
  else { $offers = $places["$at $operands"] }
  "$offers" -split ' ' | Where-Object { $_ } | ForEach-Object { "$front$_" } |
    Where-Object { $_.StartsWith("$typed", 'Ordinal') } | ForEach-Object {
      [System.Management.Automation.CompletionResult]::new($_, $_, 'ParameterValue', $_)
    }
`
