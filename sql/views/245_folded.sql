-- Letters that Unicode does not decompose into a letter and an accent are translated one by one.
create function palimpsest.folded(spelling text) returns text
language sql immutable strict parallel safe
return btrim(regexp_replace(
    replace(replace(replace(
        translate(lower(regexp_replace(normalize(replace(spelling, '&', ' and '), nfkd), '[\u0300-\u036f]', '', 'g')), 'øđðłħı', 'oddlhi'),
        'æ', 'ae'), 'œ', 'oe'), 'ß', 'ss'),
    '[\s!-/:-@\[-`{-~]+', ' ', 'g'
));

comment on function palimpsest.folded is 'A spelling without accents, case and punctuation, so that names with different spellings are equal: folded(''Saint-Étienne'') = ''saint etienne''.';
