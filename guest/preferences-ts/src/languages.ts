// The languages of ISO 639-1, by code and by name.

/** A language a line: its code, then its names, as guest/preferences has them. */
const LANGUAGES = `
aa Afar
ab Abkhazian;Abkhaz
ae Avestan
af Afrikaans
ak Akan
am Amharic
an Aragonese
ar Arabic;العربية
as Assamese
av Avaric;Avar
ay Aymara
az Azerbaijani
ba Bashkir
be Belarusian
bg Bulgarian;Български
bi Bislama
bm Bambara
bn Bengali;Bangla;বাংলা
bo Tibetan
br Breton
bs Bosnian
ca Catalan;Valencian;Català
ce Chechen
ch Chamorro
co Corsican
cr Cree
cs Czech;Čeština
cu Church Slavic;Church Slavonic;Old Church Slavonic
cv Chuvash
cy Welsh
da Danish;Dansk
de German;Deutsch
dv Divehi;Dhivehi;Maldivian
dz Dzongkha
ee Ewe
el Greek;Modern Greek;Ελληνικά
en English
eo Esperanto
es Spanish;Castilian;Español
et Estonian;Eesti
eu Basque;Euskara
fa Persian;Farsi;فارسی
ff Fulah;Fula
fi Finnish;Suomi
fj Fijian
fo Faroese
fr French;Français
fy Western Frisian;Frisian
ga Irish
gd Gaelic;Scottish Gaelic
gl Galician
gn Guarani
gu Gujarati
gv Manx
ha Hausa
he Hebrew;עברית
hi Hindi;हिन्दी
ho Hiri Motu
hr Croatian;Hrvatski
ht Haitian;Haitian Creole
hu Hungarian;Magyar
hy Armenian
hz Herero
ia Interlingua
id Indonesian;Bahasa Indonesia
ie Interlingue;Occidental
ig Igbo
ii Sichuan Yi;Nuosu
ik Inupiaq
io Ido
is Icelandic;Íslenska
it Italian;Italiano
iu Inuktitut
ja Japanese;日本語
jv Javanese
ka Georgian
kg Kongo
ki Kikuyu;Gikuyu
kj Kuanyama;Kwanyama
kk Kazakh
kl Kalaallisut;Greenlandic
km Central Khmer;Khmer
kn Kannada
ko Korean;한국어
kr Kanuri
ks Kashmiri
ku Kurdish
kv Komi
kw Cornish
ky Kirghiz;Kyrgyz
la Latin
lb Luxembourgish;Letzeburgesch
lg Ganda;Luganda
li Limburgan;Limburger;Limburgish
ln Lingala
lo Lao
lt Lithuanian;Lietuvių
lu Luba-Katanga
lv Latvian;Latviešu
mg Malagasy
mh Marshallese
mi Maori;Māori
mk Macedonian
ml Malayalam
mn Mongolian
mr Marathi
ms Malay;Bahasa Melayu
mt Maltese
my Burmese
na Nauru
nb Norwegian Bokmål;Bokmål
nd North Ndebele
ne Nepali
ng Ndonga
nl Dutch;Flemish;Nederlands
nn Norwegian Nynorsk;Nynorsk
no Norwegian;Norsk
nr South Ndebele
nv Navajo;Navaho
ny Chichewa;Chewa;Nyanja
oc Occitan
oj Ojibwa;Ojibwe
om Oromo
or Oriya;Odia
os Ossetian;Ossetic
pa Panjabi;Punjabi
pi Pali
pl Polish;Polski
ps Pashto;Pushto
pt Portuguese;Português
qu Quechua
rm Romansh
rn Rundi;Kirundi
ro Romanian;Moldavian;Moldovan;Română
ru Russian;Русский
rw Kinyarwanda
sa Sanskrit
sc Sardinian
sd Sindhi
se Northern Sami
sg Sango
si Sinhala;Sinhalese
sk Slovak;Slovenčina
sl Slovenian;Slovene;Slovenščina
sm Samoan
sn Shona
so Somali
sq Albanian;Shqip
sr Serbian;Српски
ss Swati
st Southern Sotho;Sesotho
su Sundanese
sv Swedish;Svenska
sw Swahili;Kiswahili
ta Tamil
te Telugu
tg Tajik
th Thai;ไทย
ti Tigrinya
tk Turkmen
tl Tagalog
tn Tswana
to Tonga;Tongan
tr Turkish;Türkçe
ts Tsonga
tt Tatar
tw Twi
ty Tahitian
ug Uighur;Uyghur
uk Ukrainian;Українська
ur Urdu;اردو
uz Uzbek
ve Venda
vi Vietnamese;Tiếng Việt
vo Volapük
wa Walloon
wo Wolof
xh Xhosa
yi Yiddish
yo Yoruba
za Zhuang;Chuang
zh Chinese;Mandarin;中文
zu Zulu`;

const lower = (text: string) => text.replace(/[A-Z]/g, (letter) => letter.toLowerCase());

const CODES = new Map<string, string>();
for (const line of LANGUAGES.trim().split("\n")) {
  const [code = "", names = ""] = [line.slice(0, 2), line.slice(3)];
  for (const name of names.split(";")) CODES.set(lower(name), code);
}
const KNOWN = new Set(CODES.values());

/**
 * The code of the language that a text names: the two small letters themselves, or a name, whatever the case of its ASCII
 * letters.
 */
export function codeOf(text: string): string | undefined {
  return KNOWN.has(text) ? text : CODES.get(lower(text));
}
