/**
 * Lessons: each a state of the page, a few sentences, something to try, and a question whose answer is told when it is asked for.
 * What they claim of the models is held by `tests/browser/page/lessons.spec.js`. Loaded when somebody asks for a lesson.
 *
 * @typedef {{ title: string, text: string, try: string, ask: string, answer: string }} Words
 * @typedef {{ id: string, state: string, en: Words, zh: Words }} Lesson   state: an address of this page
 */

const DOCTOR = 'text=The+old+doctor+is+tired+tonight.';
const SISTER = 'text=My+sister+wants+to+learn+English.';

const ALL = 'encoder,causal,prefix,encoder-decoder';

/** @type {Lesson[]} */
export const LESSONS = [
  {
    id: 'masks', state: `family=en-fr&on=${ALL}&${SISTER}`,
    en: {
      title: 'One sentence, four masks',
      text: 'Four models of about one size, trained on the same sentences, read the same text. In each matrix a row is a token that looks, a column one that is looked at; hatched cells may not be seen.',
      try: 'Press play. Then point at a word: what it cannot see is hatched, in every machine at once.',
      ask: 'In which machines can a word of the English sentence look at the words to its right?',
      answer: 'In the encoder, in the prefix decoder and in the reading half of the encoder–decoder. Only the causal decoder reads from left to right alone; and no decoder lets what it writes look ahead.',
    },
    zh: {
      title: '一个句子，四种掩码',
      text: '四个大小相近的模型，用同样的句子训练，读同一段文本。矩阵里每一行是在看的词元，每一列是被看的词元；斜线格不可见。',
      try: '按播放。再指向一个词：它看不到的词在所有模型中都会打上斜线。',
      ask: '在哪些模型里，英语句子中的词能看到它右边的词？',
      answer: '编码器、前缀解码器，以及编码器–解码器中负责阅读的一半。只有因果解码器始终从左往右读；而解码器正在写出的部分都不能往后看。',
    },
  },
  {
    id: 'late-words', state: 'family=en-fr&on=encoder,causal,prefix&blanks=&text=We+have+to+go.&look=encoder.leak_causal.leak_prefix.leak',
    en: {
      title: 'A word that learns its meaning late',
      text: 'Up to “have”, “We have a dog.” and “We have to go.” are the same. Here the last word is exchanged for another, and every row says by how much its state changed, layer by layer.',
      try: 'Look for the row “have” in each table. Press another token to exchange that one.',
      ask: 'Does the causal decoder’s “have” change with the end of the sentence?',
      answer: 'No, not by a bit: it was read before the end was there, and stays as it is. The encoder and the prefix decoder read “have” again in the light of what follows; the causal decoder has to make up for it in later rows.',
    },
    zh: {
      title: '后来才明白的词',
      text: '“We have a dog.” 和 “We have to go.” 直到 “have” 都一样。这里把最后一个词换成另一个，逐层显示每一行的状态改变了多少。',
      try: '在每张表中找到 “have” 这一行。按别的词元，就换那一个。',
      ask: '因果解码器的 “have” 会随句尾改变吗？',
      answer: '不会，一个比特都不变：读它时句尾还没有出现，之后也不再更新。编码器和前缀解码器会结合后文理解 “have”；因果解码器只能靠后面的行来弥补。',
    },
  },
  {
    id: 'window', state: `family=en-fr&on=causal&layer=1&${DOCTOR}&mask=causal.causal%2Bwindow%3A2&look=causal.reach`,
    en: {
      title: 'How far a window sees',
      text: 'Each row may see itself and the one before it. Still it can know more: what its neighbour knew a layer before. A number is the layer after which a row can hold something of a token.',
      try: 'Choose a higher layer in the bar above, one after the other.',
      ask: 'After which layer can [SEP], the ninth token, know of [BOS], the first?',
      answer: 'After the eighth: a token further with each layer. This model has six, so it never can. Press “change” and turn the dial to two before it: then four layers are enough.',
    },
    zh: {
      title: '窗口能看多远',
      text: '每一行只能看自己和前面一个。但它能知道得更多：邻居在上一层知道的。数字表示该行在第几层之后才可能含有某个词元的信息。',
      try: '在上方逐一选择更高的层。',
      ask: '第九个词元 [SEP] 在第几层之后才能知道第一个词元 [BOS]？',
      answer: '第八层之后：每层远一个。这个模型只有六层，所以永远不知道。按“改动”，把窗口调到之前 2 个：四层就够了。',
    },
  },
  {
    id: 'leak', state: `family=en-fr&on=causal&layer=2&${DOCTOR}&edits=causal.d1.6s&look=causal.reach`,
    en: {
      title: 'One leaky cell',
      text: 'One single cell of the causal mask was painted open (its corner is marked): “The”, the second token, may look at “tonight”, which comes later.',
      try: 'Compare layer 1 with layer 2. Then choose “leak test” in the menu under the matrix and exchange “tonight”.',
      ask: 'How many rows know of “tonight” too early after two layers?',
      answer: 'Five: “The” at once, and the four rows after it, which look back at “The”, a layer later. One leak and causality is gone: in training these rows would predict their next word with help from the future, and their loss could not be trusted.',
    },
    zh: {
      title: '一个漏洞',
      text: '因果掩码中只有一格被打开（角上有标记）：第二个词元 “The” 可以看后面的 “tonight”。',
      try: '比较第 1 层和第 2 层。再在矩阵下方选“泄漏测试”，把 “tonight” 换掉。',
      ask: '两层之后，有多少行过早地知道了 “tonight”？',
      answer: '五行：“The” 立刻知道，后面四行因为能回看 “The”，下一层也就知道了。只要漏一格，因果性就没有了：训练时这些行会借助未来预测下一个词，它们的损失就不再可信。',
    },
  },
  {
    id: 'no-mask', state: `family=en-fr&on=causal&${SISTER}&mask=causal.full`,
    en: {
      title: 'Take the mask away',
      text: 'The causal decoder, with the same weights, under the encoder’s mask: every token sees every other. It sees more than it ever did.',
      try: 'Press “reset” under the matrix, and “undo”, and compare the candidates: the marks in the bars are where they ended under its own mask.',
      ask: 'Does it translate better when it may see everything?',
      answer: 'No: it ends at once. It was never trained so, and what its rows hold under this mask means nothing to the layers above. A mask is not a switch of a finished model: it is part of what was learnt.',
    },
    zh: {
      title: '拿掉掩码',
      text: '同样的权重，因果解码器换上编码器的掩码：每个词元都能看到所有词元。它看到的比以往任何时候都多。',
      try: '按矩阵下方的“还原”，再按“撤销”，比较候选：条形上的标记是它在自己的掩码下的位置。',
      ask: '什么都能看，它会翻译得更好吗？',
      answer: '不会：它立刻就结束了。它从未这样训练过，在这种掩码下各行的状态对上面的层毫无意义。掩码不是模型训练好之后的开关，而是所学内容的一部分。',
    },
  },
  {
    id: 'two-blanks', state: 'family=en-fr&on=encoder&text=She+is+taller+than+her+mother.&blanks=0.4&look=encoder.blanks',
    en: {
      title: 'Two blanks that depend on each other',
      text: 'An encoder fills all blanks at once: each guess without knowing the other. Large numbers: how likely a pair is when the first blank is filled in before the second is guessed. Small: apart.',
      try: 'Press a word on the left to be told what follows from it.',
      ask: 'Each blank’s own best guesses are “She” and “his”. Are they the likeliest pair?',
      answer: 'No. Once “She” stands there, “her” is far likelier; and once “He” stands there, “his” is. What writes word by word knows what it wrote; what fills all at once assumes that its blanks have nothing to do with each other.',
    },
    zh: {
      title: '互相依赖的两个空位',
      text: '编码器一次填满所有空位：每个猜测都不知道另一个。大字：先填第一空再猜第二空时这一对的概率；小字：分开猜。',
      try: '按左边的一个词，看由它推出什么。',
      ask: '两个空位各自最可能的是 “She” 和 “his”。它们是最可能的一对吗？',
      answer: '不是。一旦填上 “She”，“her” 的可能性就大得多；填上 “He”，才轮到 “his”。逐词书写的模型知道自己写过什么；一次全填的模型则假设各空位互不相干。',
    },
  },
  {
    id: 'mask-sign', state: `family=en-fr&on=encoder&blanks=&${SISTER}&look=encoder.leak&exchange=encoder.e2.mask`,
    en: {
      title: 'A sign that no text has',
      text: '[MASK] stands in texts while an encoder is trained, and hardly ever when it is used. Here “sister” is exchanged for it: every row says by how much its state changed, layer by layer.',
      try: 'Press “for another word”, and compare. Then press other tokens of the sentence.',
      ask: 'Which moves the other rows more: [MASK], or a wrong word?',
      answer: 'The wrong word, whichever of these six is exchanged. It says something that is not so; [MASK] says only that nothing is known here, which it met in most of its training texts. Still no row stays as it was: all that is learnt beside a [MASK] is used where there is none. That gap is why BERT leaves one in ten of the chosen tokens as it is.',
    },
    zh: {
      title: '真实文本里没有的符号',
      text: '训练编码器时，文本里有 [MASK]；使用时几乎没有。这里把 “sister” 换成它，逐层显示每一行的状态改变了多少。',
      try: '按“换成别的词”，比较一下。再按句中别的词元。',
      ask: '哪个使其他行改变更多：[MASK]，还是一个错误的词？',
      answer: '错误的词，这六个词换哪个都一样。它说的是错的；[MASK] 只是说这里未知，这是它在大多数训练文本里都见过的。可是没有一行保持原样：在 [MASK] 旁边学到的，都要用在没有它的地方。正因为有这种差距，BERT 让选中的词元有十分之一保持不变。',
    },
  },
  {
    id: 'pair', state: 'family=en-fr&on=encoder&layer=6&text=The+dog+is+sleeping.&pair=Le+chien+dort.&mask=encoder.documents%3A8',
    en: {
      title: 'Do these two belong together?',
      text: 'An encoder reads both sentences at once, and a head on [CLS] says whether one translates the other. Here the mask keeps the two apart, and the head says no, although they do belong together.',
      try: 'Press “reset”: under its own mask it says yes. Then make the dog a cat (“Le chat dort.”).',
      ask: 'While the mask keeps them apart, which second sentence would the head say yes to?',
      answer: 'To none, or to all: it says the same of each, bit for bit. It asks the state of [CLS] alone, and nothing of the second sentence gets there, in any layer. Under its own mask it is right of 97 of 100 pairs, yet takes “Le jeune médecin est fatigué ce soir.” for “The old doctor is tired tonight.”',
    },
    zh: {
      title: '这两句是一对吗？',
      text: '编码器同时读两个句子，[CLS] 上的一个输出头判断它们是否互为译文。这里掩码把两句隔开，它就说不是，虽然两句确实是一对。',
      try: '按“还原”：在自己的掩码下它说是。再把狗换成猫（“Le chat dort.”）。',
      ask: '掩码把两句隔开时，第二句写什么，它才会说是？',
      answer: '写什么都一样：对每个句子它说的都相同，一个比特也不差。它只看 [CLS] 的状态，而第二句的任何信息在哪一层都到不了那里。在自己的掩码下，一百对里它判对 97 对，却把 “Le jeune médecin est fatigué ce soir.” 当成 “The old doctor is tired tonight.” 的译文。',
    },
  },
  {
    id: 'bottleneck', state: 'family=en-fr&on=encoder-decoder&text=Tom+told+me+he+was+a+doctor.&mask=encoder-decoder.source%3A1',
    en: {
      title: 'Everything through one state',
      text: 'The target may look at one single state of the source, that of [BOS], which itself has read the whole sentence. So did translators before attention: one vector for a sentence. (An analogy: this model was not trained so.)',
      try: 'Press “change” and turn the dial: two states, three, all of them.',
      ask: 'Its first word is still right. Why does it go on saying it?',
      answer: 'It was trained to look up, for every word, where it is in the source. With one state there is nowhere else to look: every step finds the same there, and it never learnt to get on without. Attention across was invented so that not everything has to go through one vector.',
    },
    zh: {
      title: '全都挤过一个状态',
      text: '译文只能看源文的一个状态，即 [BOS] 的，而它读过整个句子。注意力出现之前的翻译模型就是这样：一句话一个向量。（仅是类比：这个模型不是这样训练的。）',
      try: '按“改动”，拖动滑块：两个状态、三个、全部。',
      ask: '第一个词还是对的。为什么它一直重复这个词？',
      answer: '它学会的是为每个词到源文的相应位置去找。只剩一个状态，就没有别处可看：每一步看到的都一样，而它从未学过怎样应付。发明交叉注意力，正是为了不必让一切都挤过一个向量。',
    },
  },
  {
    id: 'heads', state: 'family=en-fr&on=encoder-decoder&layer=1&head=3&step=6&text=Tom+told+me+he+was+a+doctor.&silenced=encoder-decoder.c1.3',
    en: {
      title: 'A head that points, and is not needed',
      text: 'Head 3 of layer 1 looks across at the word whose translation was just written, “dit” at “told”: a picture of how translation works. Here it is silenced: it is computed and shown, and counts for nothing.',
      try: 'Press “change” and let it be heard again; silence others, or all heads of layer 3.',
      ask: 'Which words of the translation are lost without it?',
      answer: 'None: the answer is the same. Other heads, and later layers, tell as much. That a head looks at a word shows where a model may take something from, not that it needs it there: attention alone explains little.',
    },
    zh: {
      title: '会指路、却不必要的头',
      text: '第 1 层的第 3 头看向刚刚译出的那个词，如 “dit” 看 “told”：好像把翻译的过程画了出来。这里把它关闭：照样计算和显示，但不起任何作用。',
      try: '按“改动”，把它重新打开；再关闭别的头，或第 3 层的所有头。',
      ask: '没有它，译文会丢掉哪些词？',
      answer: '一个也不丢：译文完全一样。其他头和更高的层提供了同样的信息。头看着某个词，说明模型可能从那里取得信息，而不是非它不可：只凭注意力解释不了多少。',
    },
  },
  {
    id: 'guess', state: `family=en-fr&on=causal,prefix,encoder-decoder&cover=1&${DOCTOR}`,
    en: {
      title: 'Guess the next word',
      text: 'A model that writes does one thing again and again: it gives every token of its vocabulary a probability and takes one. Its candidates are covered here.',
      try: 'Say your own guess, press the cover, step on (N). At the end open “Sampling” and raise the temperature above 1. (Greedy shows the bars of 1; below 1 they sharpen.)',
      ask: 'What does a temperature above 1 do to the bars?',
      answer: 'It makes them more alike: unlikely tokens gain, likely ones lose, and what is drawn is more often a surprise. The order of the candidates stays. Below 1 the likely ones gain, and at 0 the first is always taken.',
    },
    zh: {
      title: '猜下一个词',
      text: '会写的模型反复做一件事：给词表中每个词元一个概率，然后取一个。这里候选被遮住了。',
      try: '先说出自己的猜测，再揭开，然后前进一步（N）。最后打开“采样”，把温度调到 1 以上。（贪心时显示温度为 1 的条形；低于 1 会更尖锐。）',
      ask: '温度高于 1 时，条形会怎样？',
      answer: '彼此更接近：不太可能的词元增加，可能的减少，抽到意外结果的机会更大。候选的次序不变。低于 1 时则是可能的更可能；温度为 0 时总是取第一个。',
    },
  },
  {
    id: 'cache', state: `family=en-fr&on=${ALL}&step=3&${SISTER}&look=encoder.cost_causal.cost_prefix.cost_encoder-decoder.cost`,
    en: {
      title: 'What can be kept',
      text: 'Where no row sees anything later, no row ever changes: keys and values can be kept, and a step computes one new row instead of all. Of what writes, the tables count the multiplications with a cache and without.',
      try: 'Step on, and watch “without it” grow while “with the cache” hardly does.',
      ask: 'A word is added to the end of the English text. Whose kept rows are still true?',
      answer: 'The causal decoder’s alone. In the encoder, the prefix decoder and the encoder–decoder every row of the source has seen its end, so all are computed again: one reason why chats, whose text grows with every turn, are mostly run by causal decoders.',
    },
    zh: {
      title: '什么可以留着',
      text: '如果没有任何一行能看到后面的内容，各行就都不再改变：键和值可以缓存，每一步只算一个新行而不是全部。对会写的模型，表中列出有无缓存时的乘法次数。',
      try: '一步步前进，看“无缓存”增长，而“有缓存”几乎不变。',
      ask: '在英语文本末尾加一个词，哪个模型缓存的行仍然成立？',
      answer: '只有因果解码器。在编码器、前缀解码器和编码器–解码器中，源文的每一行都看过句尾，所以全部要重算：对话的文本每轮都在变长，这也是聊天大多用因果解码器的一个原因。',
    },
  },
  {
    id: 'examples', state: 'family=en-fr&on=causal,prefix&text=A+cat+is+un+chat.+A+dog+is+un+chien.+A+house+is&look=causal.leak_prefix.leak&exchange=causal.d14_prefix.d14',
    en: {
      title: 'Examples, then a question',
      text: 'Large language models are shown a few examples and then asked. Here the word that is asked about, “house”, is exchanged, as if another question had been asked.',
      try: 'Compare the rows above “house” in both tables. Then press a word of the first example: that one is exchanged.',
      ask: 'Another question is asked after the same examples. Which of their rows are still true?',
      answer: 'In the causal decoder all, bit for bit: their keys and values are computed once and serve every question to come. In the prefix decoder none: its source was read with the question in sight. (Whether a model learns from examples in its text is another matter: it is claimed of models thousands of times larger, and ours were never trained for it.)',
    },
    zh: {
      title: '先给例子，再提问',
      text: '人们常给大型语言模型看几个例子再提问。这里把要问的词 “house” 换掉，就像换了一个问题。',
      try: '在两张表里比较 “house” 上面的各行。再按第一个例子里的一个词，换掉它。',
      ask: '同样的例子之后换一个问题，例子的哪些行仍然成立？',
      answer: '在因果解码器中全部成立，一个比特都不变：它们的键和值算一次，就能用于以后的每个问题。在前缀解码器中一行也不成立：它读源文时已经看到了问题。（模型能否从文本里的例子学会什么是另一回事：据说大几千倍的模型可以，我们的模型没有为此训练过。）',
    },
  },
  {
    id: 'loss', state: `family=en-fr&on=${ALL}&${SISTER}&look=encoder.objective_causal.objective_prefix.objective_encoder-decoder.objective`,
    en: {
      title: 'Where the loss falls',
      text: 'One text, as training puts it before each model: what it is given, what it must say, and at which tokens it is told how far off it was.',
      try: 'Press “draw again” under the encoder, and ELECTRA’s way. Give the encoder–decoder T5’s spans, or BART’s noise.',
      ask: 'Which of the four learns from the most tokens of this text, each trained in its usual way?',
      answer: 'The causal decoder: from every token but the first, those of the English sentence, too. The prefix decoder and the encoder–decoder are told of the answer’s alone, the encoder of about 15% of its words: to learn as much it must read more. ELECTRA asks of every token, which is its point.',
    },
    zh: {
      title: '损失落在哪里',
      text: '同一段文本在训练时如何摆在各个模型面前：给它什么，要它答什么，在哪些词元上告诉它差了多少。',
      try: '在编码器下按“重新抽取”，再看 ELECTRA 的方式。给编码器–解码器选 T5 的片段或 BART 的加噪。',
      ask: '各按通常方式训练，四个模型中哪个从这段文本的最多词元学习？',
      answer: '因果解码器：除第一个外的每个词元，包括英语句子的。前缀解码器和编码器–解码器只从答案学习，编码器只从大约 15% 的词学习：要学到同样多，就得读更多。ELECTRA 对每个词元都提问，好处正在于此。',
    },
  },
  {
    id: 'parts', state: `family=en-fr&on=${ALL}&${SISTER}&look=encoder.cost_causal.cost_prefix.cost_encoder-decoder.cost`,
    en: {
      title: 'Where the numbers are',
      text: 'What a model has learnt is in its parameters: a table of its pieces, attention, and feed-forward layers. Each machine’s table says how many of them are where.',
      try: 'Compare the shares of the four. Where would a vocabulary of 30,000 pieces show?',
      ask: 'The encoder–decoder has three layers in each of its stacks, the others six in one. What are its 330 thousand numbers more?',
      answer: 'Attention across, nearly all of them: 309 thousand in the three layers that write. Two stacks of three cost what one of six does; a second table of positions and three more norms do not count for much. And each word that it writes goes through three layers, not six.',
    },
    zh: {
      title: '参数在哪里',
      text: '模型学到的都在参数里：词元的嵌入表、注意力和前馈层。每个模型的表格说明哪里有多少。',
      try: '比较四个模型的占比。如果词表有三万个词元，哪里会变大？',
      ask: '编码器–解码器两个栈各三层，其他模型一个栈六层。它多出的 33 万个参数是什么？',
      answer: '几乎都是交叉注意力：负责写的三层里有 30.9 万个。两个三层的栈和一个六层的栈一样大；多一张位置表、几个归一化，算不了多少。而且它写的每个词只经过三层，而不是六层。',
    },
  },
  {
    id: 'decoder-only', state: `family=en-fr&on=causal,prefix,encoder-decoder&step=4&${SISTER}&look=causal.cost_prefix.cost_encoder-decoder.cost`,
    en: {
      title: 'Why are most large models causal?',
      text: 'Not because they translate best: of 1,000 sentences that none of these three has seen, the causal decoder’s translations reach 49.6 BLEU, the prefix decoder’s 49.6, the encoder–decoder’s 54.4.',
      try: 'Look below the tables: what each may keep, and from how many of these tokens it would learn.',
      ask: 'What does a causal decoder get for never looking right?',
      answer: 'It learns from every token, needs no line between question and answer, has one stack to make larger, and may keep every row while a conversation grows. ChatGLM2 is often listed with the prefix decoders; its released code masks causally. That causal models grow better, or learn from examples, is claimed of large ones and not measured here.',
    },
    zh: {
      title: '为什么大模型多是因果的？',
      text: '不是因为翻译得最好：在三个模型都没见过的 1,000 个句子上，因果解码器的译文得 49.6 BLEU，前缀解码器 49.6，编码器–解码器 54.4。',
      try: '看表格下方：各个模型可以保留什么，又会从这些词元中的多少个学习。',
      ask: '因果解码器从不往右看，换来了什么？',
      answer: '它从每个词元学习，问题和答案之间不需要界线，只有一个栈要扩大，对话变长时每一行都可以保留。ChatGLM2 常被列为前缀解码器，但它公布的代码用的是因果掩码。至于因果模型更容易做大、能从例子学习，那是对大模型的说法，这里没有测量。',
    },
  },
];
