// The page of a tab without data of its own.
Shell(() => {});
$('live').hidden = true;
