"""The look of every page, in light and dark, at a phone's width and a desk's, and on paper."""

STYLE = """
:root{--ink:#18222d;--soft:#566373;--line:#dfe5eb;--grid:#e8ecf1;--card:#fff;--back:#f3f5f8;--accent:#0b62a4;
--training:#6c86a1;--validation:#0b62a4;--fixed:#8a6412;--right:#0a6e45;--wrong:#b3261e;--chip:#eaf1f8;
--plus:#0b62a4;--minus:#b4501a;
--c0:#0b62a4;--c1:#c2500a;--c2:#00795a;--c3:#a33f86;--c4:#8a6412;--c5:#5b53b8;--c6:#1d7f94;--c7:#4d5967}
@media(prefers-color-scheme:dark){:root{--ink:#e7edf3;--soft:#9dabba;--line:#2b3744;--grid:#25303b;--card:#161e27;
--back:#0d131a;--accent:#74b6f2;--training:#7f97b0;--validation:#74b6f2;--fixed:#dcb35c;--right:#5fd39b;
--wrong:#ff9389;--chip:#1e2c3a;--plus:#74b6f2;--minus:#f0985c;
--c0:#74b6f2;--c1:#f59a5a;--c2:#4fc9a0;--c3:#e08fc6;--c4:#dcb35c;--c5:#aaa4f2;--c6:#63c6d8;--c7:#a9b6c4}}
*{box-sizing:border-box}html{-webkit-text-size-adjust:100%}
body{margin:0;background:var(--back);color:var(--ink);
font:16px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
main{max-width:1280px;margin:0 auto;padding:28px 20px 12px}
header{margin:0 4px 18px}
header p{margin:6px 0 0;max-width:68em;overflow-wrap:anywhere}
.over-title{color:var(--soft);font-size:.85rem;margin:0}
h1{font-size:1.7rem;line-height:1.2;letter-spacing:-.01em;margin:2px 0 0;overflow-wrap:anywhere}
h2{font-size:1.15rem;margin:0 0 10px}h3{font-size:1rem;margin:0;overflow-wrap:anywhere}
.state{display:inline-block;font-size:.85rem;font-weight:600;border-radius:99px;padding:1px 11px;
border:1.5px solid currentColor;margin-right:6px}
.state.good{color:var(--right)}.state.bad{color:var(--wrong)}.state.held{color:var(--fixed)}
section{background:var(--card);border:1px solid var(--line);border-radius:12px;padding:20px 22px;margin:16px 0}
section>p{margin:-8px 0 14px;color:var(--soft);max-width:72em;overflow-wrap:anywhere}
small{color:var(--soft);font-size:.85em;font-weight:400}
code{font:.92em ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;overflow-wrap:anywhere;white-space:pre-wrap}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(150px,1fr));gap:12px;margin:0}
.tiles div{background:var(--card);border:1px solid var(--line);border-radius:12px;padding:12px 16px}
.tiles dt{color:var(--soft);font-size:.85rem}
.tiles dd{margin:0;font-size:1.45rem;font-weight:650;line-height:1.25;font-variant-numeric:tabular-nums}
.tiles small{display:block;font-size:.8rem;line-height:1.35}
.charts{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,300px),1fr));gap:18px 26px}
.charts.four{grid-template-columns:repeat(auto-fit,minmax(min(100%,240px),1fr))}
.charts.two{grid-template-columns:repeat(auto-fit,minmax(min(100%,420px),1fr))}
.brains{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,520px),1fr));gap:26px 34px}
.brains article{min-width:0}.brains article>p{margin:0 0 8px;color:var(--soft);font-size:.92rem}
.brains .charts{grid-template-columns:repeat(auto-fit,minmax(min(100%,230px),1fr));gap:12px 20px}
figure{margin:0;min-width:0}figcaption{font-weight:600;font-size:.9rem;margin-bottom:8px;overflow-wrap:anywhere}
.plot{display:grid;grid-template-columns:auto 1fr;column-gap:7px;font-size:.75rem;line-height:1.2;color:var(--soft);
font-variant-numeric:tabular-nums}
.side{position:relative}.side i{visibility:hidden;font-style:normal}
.side span{position:absolute;right:0;transform:translateY(-50%);white-space:nowrap}
.area{position:relative;min-width:0;height:var(--tall,170px)}.two{--tall:220px}.brains{--tall:150px}
.area svg{position:absolute;inset:0;width:100%;height:100%;overflow:visible}
.area b{position:absolute;transform:translateX(-50%);font-weight:600;color:var(--ink);padding-bottom:1px}
.below{grid-column:2;position:relative;height:1.5em;margin-top:5px}
.below span{position:absolute;white-space:nowrap;transform:translateX(var(--at))}
.centred .below span{transform:translateX(-50%)}
.area path{fill:none;vector-effect:non-scaling-stroke;stroke-linejoin:round;stroke-linecap:round}
.area .grid{stroke:var(--grid);stroke-width:1}.bar{fill:var(--accent);opacity:.85}.bar:hover{opacity:1}
.training{stroke:var(--training);stroke-width:1.5}.validation{stroke:var(--validation);stroke-width:2.4}
.area .fixed{stroke:var(--fixed);stroke-width:1.6;stroke-dasharray:6 5;stroke-linecap:butt}
.area .dots{stroke-width:6;stroke-dasharray:none;stroke-linecap:round}.area .best{stroke-width:10}
.hovers rect{fill:transparent}.hovers path{stroke:var(--soft);stroke-width:1;opacity:0}
.hovers g:hover path{opacity:.7}
.run{stroke-width:2}.c0{stroke:var(--c0)}.c1{stroke:var(--c1)}.c2{stroke:var(--c2)}.c3{stroke:var(--c3)}
.c4{stroke:var(--c4)}.c5{stroke:var(--c5)}.c6{stroke:var(--c6)}.c7{stroke:var(--c7)}
.d1{stroke-dasharray:9 4}.d2{stroke-dasharray:2 4}.d3{stroke-dasharray:10 4 2 4}.wide{overflow-x:auto}
.legend{display:flex;flex-wrap:wrap;gap:4px 20px;font-size:.88rem;color:var(--soft);margin:0 0 14px;padding:0;
list-style:none}
.legend li{display:flex;align-items:center;gap:7px;min-width:0;overflow-wrap:anywhere}
.key{flex:none;width:30px;height:12px;overflow:visible}.key path{fill:none}.key .best{stroke-width:8;
stroke-linecap:round}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}caption{display:none}
th,td{text-align:right;padding:7px 0 7px 18px;border-bottom:1px solid var(--line);vertical-align:top;
overflow-wrap:anywhere}
thead th{color:var(--soft);font-weight:600;font-size:.85rem;vertical-align:bottom;overflow-wrap:normal}
tbody th{font-weight:600}tbody tr:last-child>*{border-bottom:0}.sum>*{font-weight:650}
th:first-child,td:first-child{padding-left:0}.left{text-align:left}.one-line{white-space:nowrap}
.meter{display:block;height:5px;border-radius:3px;background:var(--grid);margin-top:4px;min-width:70px;
overflow:hidden}
.meter i{display:block;height:100%;background:var(--accent)}.better{color:var(--right)}.worse{color:var(--wrong)}
.right{color:var(--right);font-weight:600}.wrong{color:var(--wrong);font-weight:600}
.question{width:42%}.thumb{height:64px;image-rendering:pixelated;border:1px solid var(--line);vertical-align:top}
.spark{width:120px;height:32px;overflow:visible;display:block}
.spark path{fill:none;stroke:var(--accent);stroke-width:1.8;vector-effect:non-scaling-stroke}
.facts{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,250px),1fr));gap:2px 26px;margin:0;
font-size:.9rem}
.facts div{display:flex;justify-content:space-between;gap:14px;border-bottom:1px solid var(--line);padding:4px 0;
min-width:0}.facts.long{grid-template-columns:1fr}.facts.long div{justify-content:flex-start}.facts.long dt{width:17em}
.facts.long dd{text-align:left}
.facts dt{color:var(--soft);flex:none;max-width:55%;overflow-wrap:anywhere}
.facts dd{margin:0;text-align:right;min-width:0;overflow-wrap:anywhere}
.facts .set{font-weight:650}details summary{cursor:pointer;font-weight:600;padding:4px 0}
.graph{--tall:380px;margin-bottom:22px}.graph .area{margin:26px 0 30px}.graph .area em{position:absolute;
font-style:normal;
font-size:.75rem;
line-height:1.2;color:var(--soft);white-space:nowrap;max-width:30%;overflow:hidden;text-overflow:ellipsis}
.graph em.head{bottom:100%;margin-bottom:8px;transform:translateX(var(--at))}
.graph em.foot{top:100%;margin-top:8px;transform:translateX(var(--at))}
.graph em.tag{transform:translateY(-50%);color:var(--ink);background:var(--card);padding:0 3px;border-radius:3px}
.graph em.tag.from-right{transform:translate(-100%,-50%)}
.graph .plus{stroke:var(--plus)}.graph .minus{stroke:var(--minus)}
.graph .faint{opacity:.16;stroke-width:.8}.graph .middle{opacity:.34;stroke-width:1.1}.graph .strong{opacity:.7;
stroke-width:1.8}
.graph .node{stroke:var(--ink);stroke-width:7}.graph .node.small{stroke-width:3.5}
.graph .node.input{stroke:var(--c2)}.graph .node.output{stroke:var(--c3)}
.graph .block{fill:var(--ink);opacity:.8}.graph .block.input{fill:var(--c2)}.graph .block.output{fill:var(--c3)}
.graph .area .ribbon{fill:var(--accent);opacity:.22}.graph .area .ribbon:hover{opacity:.5}
footer{max-width:1280px;margin:0 auto;padding:0 24px 36px;color:var(--soft);font-size:.85rem;overflow-wrap:anywhere}
@media(max-width:720px){main{padding:18px 10px 6px}section{padding:16px 14px;border-radius:10px}h1{font-size:1.35rem}
.tiles{grid-template-columns:1fr 1fr;gap:8px}.tiles div{padding:9px 12px}.tiles dd{font-size:1.2rem}
.graph{--tall:300px}
table,tbody,tr,th,td{display:block;width:auto}thead{position:absolute;width:1px;height:1px;overflow:hidden;
clip-path:inset(50%)}
tbody tr{display:grid;grid-template-columns:1fr 1fr;gap:0 18px;padding:10px 0;border-bottom:1px solid var(--line)}
tbody tr:last-child{border-bottom:0}th,td{border:0;padding:3px 0;text-align:left}tbody th{grid-column:1/-1;
padding-bottom:4px}
td::before{content:attr(data-name);color:var(--soft);font-size:.85rem;display:block;line-height:1.3}
td.full{grid-column:1/-1}td.none{display:none}.meter{display:none}
.question{width:auto}td.stacked{grid-column:1/-1}.samples td.stacked::before{display:none}
.samples tr{grid-template-columns:1fr 1fr auto}.tiles div:first-child:nth-last-child(odd){grid-column:1/-1}
.facts.long dt{width:auto}.facts.long div{display:block}}
@media print{body{background:#fff}section,.tiles div{break-inside:avoid}details{display:block}}
"""
